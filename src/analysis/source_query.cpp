// Queries whose rows are saved before they are walked: run once, by one process, under one snapshot, so that all that a
// SELECT may do is allowed, but for what would change or lock something, or what another session cannot see.
// Regime: pg.  Locks: those of parse analysis.  May not execute anything of the user's.
#include "analysis/analysis.hpp"

namespace stride::analysis {
namespace {

[[noreturn]] void refuse_query(const char *detail, const char *hint) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the rows of source_query cannot be saved"),
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
                            errmsg("column %d of source_query has no name", i + 1), errhint("Name it with AS.")));
        for (int j = 0; j < i; j++)
            if (strcmp(name, NameStr(TupleDescAttr(columns, j)->attname)) == 0)
                ereport(ERROR,
                        (errcode(ERRCODE_DUPLICATE_COLUMN), errmsg("source_query gives the column \"%s\" twice", name),
                         errhint("Give each column a name of its own with AS.")));
        if (get_typtype(column->atttypid) == TYPTYPE_PSEUDO)
            ereport(ERROR, (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
                            errmsg("column \"%s\" of source_query has the pseudo-type %s", name,
                                   format_type_be(column->atttypid)),
                            errhint("Cast it to a type that a table can have.")));
    }
}

} // namespace

SourceQuery analyse_source_query(const Parsed &parsed, bool with_frozen_time) {
    Query *query = analyse_raw(parsed);
    SourceQuery source = {};
    source.relations = named_relations(query);
    check_privileges(query);
    refuse_changes(query);
    refuse_relations(source.relations);
    refuse_temporary_functions(query);
    source.columns = ExecCleanTypeFromTL(query->targetList);
    require_storable(source.columns);
    source.sql = deparse(with_frozen_time ? freeze_time(query) : query);
    return source;
}

} // namespace stride::analysis
