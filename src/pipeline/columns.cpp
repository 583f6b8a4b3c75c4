// Columns by name.
// Regime: pg.
#include "pipeline/columns.hpp"

namespace stride::pipeline {
namespace {

char *listed(List *names) {
    StringInfoData text;
    initStringInfo(&text);
    ListCell *cell;
    foreach (cell, names)
        appendStringInfo(&text, "%s%s", text.len == 0 ? "" : ", ", quote_identifier(static_cast<char *>(lfirst(cell))));
    return text.data;
}

const FormData_pg_attribute *find_column(Relation relation, const char *name) {
    TupleDesc descriptor = RelationGetDescr(relation);
    for (int i = 0; i < descriptor->natts; i++) {
        const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
        if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0) return attribute;
    }
    return nullptr;
}

List *names_of(ArrayType *names, const char *argument) {
    Datum *elements;
    bool *nulls;
    int count;
    deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, &nulls, &count);
    if (count == 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s names no column", argument),
                        errhint("Name columns of the target, or leave the argument out.")));
    List *result = NIL;
    for (int i = 0; i < count; i++) {
        if (nulls[i])
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not contain NULL", argument),
                            errhint("Name columns of the target.")));
        result = lappend(result, pstrdup(NameStr(*DatumGetName(elements[i]))));
    }
    return result;
}

// Named columns of the target are columns of it, and are written.
void require_written(Relation target, List *written, List *names, const char *argument) {
    ListCell *cell;
    foreach (cell, names) {
        const char *name = static_cast<const char *>(lfirst(cell));
        if (has_name(written, name)) continue;
        const bool known = find_column(target, name) != nullptr;
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                        known ? errmsg("%s names the column \"%s\", which the pipeline does not write", argument, name)
                              : errmsg("%s names the column \"%s\", which the target does not have", argument, name),
                        errdetail("The columns written are: %s.", listed(written)),
                        errhint("Name columns that are written.")));
    }
}

// The key columns of a usable unique index, as a Bitmapset of attribute numbers; nullptr if the index is none.
Bitmapset *unique_columns(Oid index) {
    HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
    if (!HeapTupleIsValid(tuple)) return nullptr;
    const Form_pg_index form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    Bitmapset *columns = nullptr;
    if (form->indisunique && form->indisvalid && form->indimmediate &&
        heap_attisnull(tuple, Anum_pg_index_indpred, nullptr) && heap_attisnull(tuple, Anum_pg_index_indexprs, nullptr))
        for (int i = 0; i < form->indnkeyatts; i++)
            columns = bms_add_member(columns, form->indkey.values[i]);
    ReleaseSysCache(tuple);
    return columns;
}

List *primary_key(Relation target) {
    (void)RelationGetIndexList(target); // fills rd_pkindex
    Bitmapset *members = OidIsValid(target->rd_pkindex) ? unique_columns(target->rd_pkindex) : nullptr;
    if (members == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
                 errmsg("the target \"%s\" has no primary key to find conflicts by", RelationGetRelationName(target)),
                 errhint("Name the columns of a unique index in conflict_columns.")));
    List *names = NIL;
    int member = -1;
    while ((member = bms_next_member(members, member)) >= 0)
        names = lappend(names, get_attname(RelationGetRelid(target), static_cast<AttrNumber>(member), false));
    return names;
}

Bitmapset *numbers_of(Relation relation, List *names) {
    Bitmapset *numbers = nullptr;
    ListCell *cell;
    foreach (cell, names) {
        const FormData_pg_attribute *attribute = find_column(relation, static_cast<const char *>(lfirst(cell)));
        if (attribute != nullptr) numbers = bms_add_member(numbers, attribute->attnum);
    }
    return numbers;
}

void require_unique_index(Relation target, List *names) {
    Bitmapset *wanted = numbers_of(target, names);
    ListCell *cell;
    foreach (cell, RelationGetIndexList(target))
        if (bms_equal(wanted, unique_columns(lfirst_oid(cell)))) return;
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
             errmsg("the target \"%s\" has no unique index on the conflict columns", RelationGetRelationName(target)),
             errdetail("The conflict columns are: %s.", listed(names)),
             errhint("Name exactly the columns of one unique index, which is neither partial nor deferrable, or "
                     "create one.")));
}

OnConflictAction parse_action(const char *text) {
    if (text != nullptr) {
        if (strcmp(text, "error") == 0) return ONCONFLICT_NONE;
        if (strcmp(text, "nothing") == 0) return ONCONFLICT_NOTHING;
        if (strcmp(text, "update") == 0) return ONCONFLICT_UPDATE;
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for on_conflict: \"%s\"", text == nullptr ? "NULL" : text),
                    errhint("Use \"error\", \"nothing\" or \"update\".")));
}

void check_arguments(OnConflictAction action, const Arguments &arguments) {
    if (action == ONCONFLICT_NONE && arguments.conflict_columns != nullptr)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("conflict_columns needs on_conflict => 'update' or 'nothing'"),
                        errhint("Say what becomes of a row that meets these columns.")));
    if (action != ONCONFLICT_UPDATE && (arguments.update_columns != nullptr || arguments.update_set != nullptr))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("update_columns and update_set need on_conflict => 'update'"),
                        errhint("Add on_conflict => 'update', or leave them out.")));
    if (arguments.update_columns != nullptr && arguments.update_set != nullptr)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("update_columns and update_set cannot be given together"),
                        errhint("update_columns takes the new row's values; update_set says how values are merged.")));
}

} // namespace

List *descriptor_columns(TupleDesc descriptor) {
    List *names = NIL;
    for (int i = 0; i < descriptor->natts; i++)
        if (!TupleDescAttr(descriptor, i)->attisdropped)
            names = lappend(names, pstrdup(NameStr(TupleDescAttr(descriptor, i)->attname)));
    return names;
}

List *query_columns(const Query *query) {
    List *names = NIL;
    ListCell *cell;
    foreach (cell, query->targetList) {
        const TargetEntry *entry = lfirst_node(TargetEntry, cell);
        if (!entry->resjunk) names = lappend(names, entry->resname);
    }
    return names;
}

bool has_name(List *names, const char *name) {
    ListCell *cell;
    foreach (cell, names)
        if (strcmp(static_cast<const char *>(lfirst(cell)), name) == 0) return true;
    return false;
}

List *written_columns(Relation target, List *given, const char *giver) {
    if (given == NIL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_COLUMN_REFERENCE), errmsg("%s gives no columns", giver),
                        errdetail("Columns are matched by name. The target has: %s.",
                                  listed(descriptor_columns(RelationGetDescr(target)))),
                        errhint("Select the columns that are to be written.")));
    List *written = NIL;
    List *unknown = NIL;
    List *seen = NIL;
    ListCell *cell;
    foreach (cell, given) {
        char *name = static_cast<char *>(lfirst(cell));
        const FormData_pg_attribute *attribute = find_column(target, name);
        if (has_name(seen, name))
            ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN), errmsg("%s gives the column \"%s\" twice", giver, name),
                            errhint("Give each column one name, that of the target's column it is for.")));
        seen = lappend(seen, name);
        if (attribute == nullptr)
            unknown = lappend(unknown, name);
        else if (attribute->attgenerated == '\0' && attribute->attidentity != ATTRIBUTE_IDENTITY_ALWAYS)
            written = lappend(written, name);
    }
    if (unknown != NIL)
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_COLUMN),
             errmsg("%s gives columns that the target \"%s\" does not have: %s", giver, RelationGetRelationName(target),
                    listed(unknown)),
             errdetail("It gives: %s. The target has: %s.", listed(given),
                       listed(descriptor_columns(RelationGetDescr(target)))),
             errhint("Columns are matched by name: name and choose them with transform_query, as in SELECT a AS b FROM "
                     "chunk.")));
    if (written == NIL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
                        errmsg("%s gives no column that can be written to the target \"%s\"", giver,
                               RelationGetRelationName(target)),
                        errdetail("It gives: %s.", listed(given)), errhint("Columns are matched by name.")));
    return written;
}

Conflict resolve_conflict(Relation target, List *written, const Arguments &arguments) {
    Conflict conflict = {parse_action(arguments.on_conflict), NIL, NIL};
    check_arguments(conflict.action, arguments);
    if (conflict.action == ONCONFLICT_NONE) return conflict;
    if (arguments.conflict_columns != nullptr)
        conflict.key = names_of(arguments.conflict_columns, "conflict_columns");
    else if (conflict.action == ONCONFLICT_UPDATE)
        conflict.key = primary_key(target);
    require_written(target, written, conflict.key,
                    arguments.conflict_columns != nullptr ? "conflict_columns" : "the target's primary key");
    if (conflict.key != NIL) require_unique_index(target, conflict.key);
    if (conflict.action == ONCONFLICT_NOTHING || arguments.update_set != nullptr) return conflict;
    if (arguments.update_columns != nullptr) {
        conflict.updates = names_of(arguments.update_columns, "update_columns");
        require_written(target, written, conflict.updates, "update_columns");
        return conflict;
    }
    ListCell *cell;
    foreach (cell, written)
        if (!has_name(conflict.key, static_cast<const char *>(lfirst(cell))))
            conflict.updates = lappend(conflict.updates, lfirst(cell));
    if (conflict.updates == NIL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("on_conflict => 'update' has no column to update besides the conflict columns"),
                        errhint("Use on_conflict => 'nothing'.")));
    return conflict;
}

bool hold_unique_key(Relation relation, List *names) {
    Bitmapset *held = numbers_of(relation, names);
    ListCell *cell;
    foreach (cell, RelationGetIndexList(relation)) {
        Bitmapset *key = unique_columns(lfirst_oid(cell));
        if (key == nullptr || !bms_is_subset(key, held)) continue;
        bool not_null = true;
        int member = -1;
        while ((member = bms_next_member(key, member)) >= 0)
            not_null = not_null && TupleDescAttr(RelationGetDescr(relation), member - 1)->attnotnull;
        if (not_null) return true;
    }
    return false;
}

} // namespace stride::pipeline
