// Warnings: what a chunked run does differently in ways that are allowed, one sentence each, for explain and the job's
// events.
// Regime: pg.  Locks: AccessShareLock on the target, which parse analysis has locked already.  May not execute
// anything.
#include "analysis/analysis.hpp"

namespace stride::analysis {
namespace {

List *warn(List *warnings, char *sentence) {
    return lappend(warnings, sentence);
}

bool collect_volatile(Oid function, void *context) {
    List **functions = static_cast<List **>(context);
    if (function != F_NEXTVAL && func_volatile(function) == PROVOLATILE_VOLATILE)
        *functions = list_append_unique_oid(*functions, function);
    return false;
}

List *warn_volatile(List *warnings, Query *query) {
    List *functions = NIL;
    (void)find_node(query,
                    [&functions](Node *node) { return check_functions_in_node(node, collect_volatile, &functions); });
    ListCell *cell;
    foreach (cell, functions)
        warnings = warn(warnings,
                        psprintf("The function %s is volatile: each chunk calls it anew, also when it is tried again.",
                                 format_procedure(lfirst_oid(cell))));
    return warnings;
}

List *warn_triggers(List *warnings, Relation target) {
    int count = 0;
    for (int i = 0; target->trigdesc != nullptr && i < target->trigdesc->numtriggers; i++)
        if (!target->trigdesc->triggers[i].tgisinternal) count++;
    if (count == 0) return warnings;
    return warn(warnings,
                psprintf("The target %s has %d trigger%s: statement-level triggers fire once a chunk, and what "
                         "triggers read cannot be seen here.",
                         relation_name(RelationGetRelid(target)), count, count == 1 ? "" : "s"));
}

List *warn_deferrable(List *warnings, Relation target) {
    ListCell *cell;
    foreach (cell, RelationGetIndexList(target)) {
        HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(cell)));
        if (!HeapTupleIsValid(tuple)) continue;
        Form_pg_index index = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
        if (index->indisunique && !index->indimmediate)
            warnings =
                warn(warnings, psprintf("The constraint \"%s\" is deferrable, and is checked at the end of each chunk.",
                                        get_rel_name(lfirst_oid(cell))));
        ReleaseSysCache(tuple);
    }
    return warnings;
}

List *warn_self_references(List *warnings, Relation target) {
    ListCell *cell;
    foreach (cell, RelationGetFKeyList(target)) {
        const ForeignKeyCacheInfo *key = static_cast<ForeignKeyCacheInfo *>(lfirst(cell));
        if (key->confrelid == key->conrelid)
            warnings =
                warn(warnings, psprintf("The foreign key \"%s\" refers to its own table: a chunk fails where rows need "
                                        "each other across chunks.",
                                        get_constraint_name(key->conoid)));
    }
    return warnings;
}

List *warn_foreign(List *warnings, Oid target) {
    ListCell *cell;
    foreach (cell, written_relations(target, true))
        if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
            warnings =
                warn(warnings, psprintf("The server of the foreign table %s commits a moment before the checkpoint "
                                        "does: a chunk that ends in between is done again.",
                                        relation_name(lfirst_oid(cell))));
    return warnings;
}

bool is_assigned(List *targets, AttrNumber column) {
    ListCell *cell;
    foreach (cell, targets)
        if (lfirst_node(TargetEntry, cell)->resno == column) return true;
    return false;
}

// Columns that an INSERT leaves to a default that reads the clock.
List *warn_defaults(List *warnings, Relation target, List *targets) {
    for (int i = 0; i < RelationGetNumberOfAttributes(target); i++) {
        const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(target), i);
        if (attribute->attisdropped || attribute->attgenerated != '\0' || is_assigned(targets, attribute->attnum))
            continue;
        Node *value = build_column_default(target, attribute->attnum);
        if (value != nullptr && find_node(value, [](Node *node) { return is_time_function(node); }))
            warnings = warn(
                warnings, psprintf("The default of the column \"%s\" reads the clock, which is not frozen: each chunk "
                                   "has its own time.",
                                   NameStr(attribute->attname)));
    }
    return warnings;
}

List *warn_inserted_defaults(List *warnings, Query *query, Relation target) {
    if (query->commandType == CMD_INSERT) return warn_defaults(warnings, target, query->targetList);
    ListCell *cell;
    foreach (cell, query->mergeActionList) {
        const MergeAction *action = lfirst_node(MergeAction, cell);
        if (action->commandType == CMD_INSERT) return warn_defaults(warnings, target, action->targetList);
    }
    return warnings;
}

// The views among the relations whose own queries read the clock.
List *warn_views(List *warnings, const Statement &statement) {
    ListCell *cell;
    foreach (cell, statement.relations) {
        const Oid relation = lfirst_oid(cell);
        if (get_rel_relkind(relation) == RELKIND_VIEW &&
            find_node(view_query(relation), [](Node *node) { return is_time_function(node); }))
            warnings = warn(warnings,
                            psprintf("The view %s reads the clock, which is not frozen: each chunk has its own time.",
                                     relation_name(relation)));
    }
    return warnings;
}

List *warn_statement(List *warnings, Query *query, const Statement &statement, const AnalysisOptions &options) {
    if (query->onConflict != nullptr && query->onConflict->action == ONCONFLICT_UPDATE && !options.keeps_last)
        warnings = warn(warnings,
                        pstrdup("ON CONFLICT DO UPDATE raises an error for a row that is met twice in one chunk only; "
                                "a row met in two chunks is updated twice."));
    if (query->commandType != CMD_UPDATE && query->commandType != CMD_DELETE && !options.own_levels &&
        find_node(query,
                  [](Node *node) { return IsA(node, Query) && reinterpret_cast<Query *>(node)->sortClause != NIL; }))
        warnings = warn(warnings, pstrdup("ORDER BY orders the rows of each chunk only."));
    if (get_rel_persistence(statement.source) == RELPERSISTENCE_UNLOGGED)
        warnings =
            warn(warnings,
                 psprintf("The driving relation %s is UNLOGGED: after a crash the job goes on over an empty table.",
                          relation_name(statement.source)));
    return warnings;
}

} // namespace

List *collect_warnings(Query *query, const Statement &statement, const AnalysisOptions &options) {
    List *warnings = NIL;
    if (statement.kind != StatementKind::select) warnings = warn_volatile(warnings, query);
    warnings = warn_views(warnings, statement);
    warnings = warn_statement(warnings, query, statement, options);
    if (!OidIsValid(statement.target)) return warnings;
    ListCell *cell;
    foreach (cell, written_relations(statement.target, false)) {
        Relation written = relation_open(lfirst_oid(cell), AccessShareLock);
        warnings = warn_triggers(warnings, written);
        warnings = warn_deferrable(warnings, written);
        warnings = warn_self_references(warnings, written);
        relation_close(written, AccessShareLock);
    }
    warnings = warn_foreign(warnings, statement.target);
    Relation target = relation_open(statement.target, AccessShareLock);
    warnings = warn_inserted_defaults(warnings, query, target);
    relation_close(target, AccessShareLock);
    return warnings;
}

} // namespace stride::analysis
