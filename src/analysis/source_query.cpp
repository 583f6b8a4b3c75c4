// Queries whose rows are saved before they are walked: run once, by one process, under one snapshot, so that all that a
// SELECT may do is allowed, but for what would change or lock something, or what another session cannot see.  They are
// the user's own, or made for what drives a statement and has no key.
// Regime: pg.  Locks: those of parse analysis.  May not execute anything of the user's.
#include "analysis/analysis.hpp"

namespace stride::analysis {
namespace {

[[noreturn]] void refuse_query(const char *detail, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the rows of the source cannot be saved"),
                    errdetail("%s", detail), errhint("%s", hint)));
    pg_unreachable();
}

void refuse_changes(Query *query) {
    ListCell *cell;
    foreach (cell, query->cteList) {
        const CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);
        if (castNode(Query, cte->ctequery)->commandType != CMD_SELECT)
            refuse_query(psprintf("The WITH query \"%s\" modifies data.", cte->ctename),
                         "Submit it as a job of its own, and the pipeline as a second one with depends_on.");
    }
    for_each_query(query, [](Query *level) {
        if (level->rowMarks != NIL)
            refuse_query("It locks rows, which would be free again before they are walked.",
                         "Remove FOR UPDATE or FOR SHARE.");
    });
}

void refuse_relations(List *relations) {
    ListCell *cell;
    foreach (cell, relations) {
        const Oid relation = lfirst_oid(cell);
        if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
            refuse_query(psprintf("The relation %s is temporary, and the job's workers are other sessions.",
                                  relation_name(relation)),
                         "Create the table without TEMP, and drop it when the job has ended.");
    }
}

void require_storable(TupleDesc columns) {
    for (int i = 0; i < columns->natts; i++) {
        const FormData_pg_attribute *column = TupleDescAttr(columns, i);
        const char *name = NameStr(column->attname);
        if (strcmp(name, "?column?") == 0)
            ereport(ERROR, (errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
                            errmsg("column %d of the source has no name", i + 1), errhint("Name it with AS.")));
        for (int j = 0; j < i; j++)
            if (strcmp(name, NameStr(TupleDescAttr(columns, j)->attname)) == 0)
                ereport(ERROR,
                        (errcode(ERRCODE_DUPLICATE_COLUMN), errmsg("the source gives the column \"%s\" twice", name),
                         errhint("Give each column a name of its own with AS.")));
        if (SystemAttributeByName(name) != nullptr)
            ereport(ERROR,
                    (errcode(ERRCODE_DUPLICATE_COLUMN),
                     errmsg("column \"%s\" of the source has the name of a system column", name),
                     errdetail("Its rows are walked as those of a table, which has a system column of this name."),
                     errhint("Give the column another name with AS.")));
        if (get_typtype(column->atttypid) == TYPTYPE_PSEUDO)
            ereport(ERROR, (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
                            errmsg("column \"%s\" of the source has the pseudo-type %s", name,
                                   format_type_be(column->atttypid)),
                            errhint("Cast it to a type that a table can have.")));
    }
}

// The columns of a table reference that the statement reads, where that is known; else all.  A literal that has no type
// yet is not saved.
List *read_columns(Query *level, int rtindex) {
    RangeTblEntry *entry = entry_at(level, rtindex);
    const Bitmapset *selected = nullptr;
    if (entry->rtekind == RTE_RELATION) {
#if PG_VERSION_NUM >= 160000
        selected = getRTEPermissionInfo(level->rteperminfos, entry)->selectedCols;
#else
        selected = entry->selectedCols;
#endif
    }
    const bool all = entry->rtekind != RTE_RELATION ||
                     bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, selected);
    List *names;
    List *numbers = NIL;
    List *columns = columns_of(entry, rtindex, &names);
    for (int number = 1; number <= list_length(columns); number++)
        if (IsA(list_nth(columns, number - 1), Var) &&
            exprType(static_cast<Node *>(list_nth(columns, number - 1))) != UNKNOWNOID &&
            (all || bms_is_member(number - FirstLowInvalidHeapAttributeNumber, selected)))
            numbers = lappend_int(numbers, number);
    return numbers;
}

// Whether a condition of the level is one on a row of the reference by itself.
bool judges_alone(Node *condition, int rtindex) {
    Relids read = pull_varnos(nullptr, condition);
    int member;
    return bms_get_singleton_member(read, &member) && member == rtindex && !checkExprHasSubLink(condition) &&
           !contain_volatile_functions(condition) &&
           !find_node(condition, [](Node *node) { return IsA(node, Var) && castNode(Var, node)->varlevelsup > 0; });
}

bool is_taken(const List *names, const char *name) {
    ListCell *cell;
    foreach (cell, names)
        if (strcmp(strVal(lfirst(cell)), name) == 0) return true;
    return false;
}

// The name under which a column can be saved beside those that have theirs.
char *name_to_save(const List *taken, char *name) {
    if (strcmp(name, "?column?") != 0 && SystemAttributeByName(name) == nullptr && !is_taken(taken, name)) return name;
    char *other;
    int number = list_length(taken);
    do
        other = psprintf("column_%d", ++number);
    while (is_taken(taken, other));
    return other;
}

// Makes the SELECT of an INSERT, or of the source of a MERGE, an item of FROM with a name of its own for each column.
void make_from_item(RangeTblEntry *entry) {
    List *names = NIL;
    ListCell *cell;
    foreach (cell, entry->eref->colnames)
        names = lappend(names, makeString(name_to_save(names, strVal(lfirst(cell)))));
    entry->alias = makeAlias("query", names);
    entry->eref = makeAlias("query", names);
    entry->inFromCl = true;
}

// The rows of a table reference that meet the conditions on it alone; those of a MERGE's own level are no such ones.
Query *select_rows(Query *level, int rtindex, const List *numbers) {
    RangeTblEntry *entry = static_cast<RangeTblEntry *>(copyObjectImpl(entry_at(level, rtindex)));
    const bool whole = entry->rtekind == RTE_SUBQUERY || entry->rtekind == RTE_CTE;
    if (whole) make_from_item(entry);
    Node *quals = level->commandType == CMD_MERGE ? nullptr : level->jointree->quals;
    List *conditions = NIL;
    ListCell *cell;
    foreach (cell, make_ands_implicit(reinterpret_cast<Expr *>(quals)))
        if (judges_alone(static_cast<Node *>(lfirst(cell)), rtindex))
            conditions = lappend(conditions, copyObjectImpl(lfirst(cell)));
    ChangeVarNodes(reinterpret_cast<Node *>(conditions), rtindex, 1, 0);
    Node *condition = conditions == NIL ? nullptr : reinterpret_cast<Node *>(make_ands_explicit(conditions));
    List *names;
    List *all = columns_of(entry, 1, &names);
    List *saved = NIL;
    List *columns = NIL;
    foreach (cell, numbers) {
        char *name = name_to_save(saved, strVal(list_nth(names, lfirst_int(cell) - 1)));
        saved = lappend(saved, makeString(name));
        columns = lappend(columns, makeTargetEntry(static_cast<Expr *>(list_nth(all, lfirst_int(cell) - 1)),
                                                   static_cast<AttrNumber>(list_length(saved)), name, false));
    }
    Query *query = select_from(list_make1(entry), columns, condition);
    if (whole) {
        query->cteList = static_cast<List *>(copyObjectImpl(level->cteList));
        query->hasRecursive = level->hasRecursive;
    }
    return query;
}

// Locked by the level, or within what is saved.
void refuse_locked_rows(const Query *level, int rtindex, Query *rows) {
    bool locked = false;
    ListCell *cell;
    foreach (cell, level->rowMarks)
        locked = locked || static_cast<int>(lfirst_node(RowMarkClause, cell)->rti) == rtindex;
    for_each_query(rows, [&locked](const Query *part) { locked = locked || part->rowMarks != NIL; });
    if (locked)
        refuse("It locks the rows of the source, which are saved first: they would be free again before they are "
               "walked.",
               "Remove FOR UPDATE or FOR SHARE.");
}

SourceQuery source_query_of(Query *query, bool with_frozen_time) {
    SourceQuery source = {};
    source.relations = named_relations(query);
    source.columns = ExecCleanTypeFromTL(query->targetList);
    require_storable(source.columns);
    source.sql = deparse(with_frozen_time ? freeze_time(query) : query);
    return source;
}

} // namespace

KeylessStatement *find_keyless(const Parsed &parsed, const char *source_alias, bool spools, bool with_frozen_time) {
    Query *query = analyse_raw(parsed);
    if (query->commandType == CMD_UPDATE || query->commandType == CMD_DELETE) return nullptr;
    refuse_old_merge(query);
    refuse_values(query);
    const Candidate *driver = choose_keyless_driver(query, source_alias, spools);
    if (driver == nullptr) return nullptr;
    check_privileges(query);
    refuse_private_relations(named_relations(query), InvalidOid);
    refuse_temporary_functions(query);
    refuse_modifying_ctes(query);
    refuse_system_columns(driver->level, driver->rtindex);
    List *columns = read_columns(driver->level, driver->rtindex);
    Query *rows = select_rows(driver->level, driver->rtindex, columns);
    refuse_locked_rows(driver->level, driver->rtindex, rows);
    if (!stands_alone(rows))
        refuse(psprintf("The rows of \"%s\", which would drive it, are others for each row of the levels around it.",
                        entry_of(*driver)->eref->aliasname),
               "Name another table reference in the argument \"source\".");
    auto *found = static_cast<KeylessStatement *>(palloc(sizeof(KeylessStatement)));
    *found = {query, driver->level, driver->rtindex, columns, source_query_of(rows, with_frozen_time)};
    return found;
}

Parsed read_from(const KeylessStatement &statement, Oid work_table) {
    read_saved_rows(statement.level, statement.rtindex, work_table, statement.columns);
    return parse_deparsed(deparse(statement.query));
}

SourceQuery analyse_source_query(const Parsed &parsed, bool with_frozen_time) {
    Query *query = analyse_raw(parsed);
    check_privileges(query);
    refuse_changes(query);
    refuse_relations(named_relations(query));
    refuse_temporary_functions(query);
    return source_query_of(query, with_frozen_time);
}

} // namespace stride::analysis
