// Saving rows.
// Regime: pg.
#include "job/spool.hpp"

#include "catalog/split.hpp"
#include "job/leaves.hpp"
#include "pg/test_point.hpp"
#include "walk/plan.hpp"
#include "walk/spool.hpp"

namespace stride::job {
namespace {

// A name may have been given to another table since submission.
void require_same_relations(const catalog::Job &job, const catalog::WorkTable &table, Query *query) {
    Datum *bound;
    int count;
    deconstruct_array(table.query_relations, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &bound, nullptr, &count);
    List *named = analysis::named_relations(query);
    bool same = count == list_length(named);
    for (int i = 0; same && i < count; i++)
        same = DatumGetObjectId(bound[i]) == list_nth_oid(named, i);
    if (!same) raise_source_changed(job, "A name in the query of its source means another table now.");
}

void require_same_columns(const catalog::Job &job, Relation work_table, Query *query) {
    const TupleDesc given = ExecCleanTypeFromTL(query->targetList);
    const TupleDesc saved = RelationGetDescr(work_table);
    bool same = given->natts == saved->natts - catalog::ordinal_attno;
    for (int i = 0; same && i < given->natts; i++) {
        const FormData_pg_attribute *column = TupleDescAttr(saved, i + catalog::ordinal_attno);
        same = !column->attisdropped && column->atttypid == TupleDescAttr(given, i)->atttypid;
    }
    if (!same) raise_source_changed(job, "The query of its source gives other columns now.");
}

ArrayType *oid_array(List *oids) {
    const int count = list_length(oids);
    Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(1, count))));
    for (int i = 0; i < count; i++)
        values[i] = ObjectIdGetDatum(list_nth_oid(oids, i));
    return construct_array(values, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}

} // namespace

catalog::WorkTable *make_work_table(const analysis::SourceQuery &query) {
    auto *work_table = static_cast<catalog::WorkTable *>(palloc(sizeof(catalog::WorkTable)));
    *work_table =
        catalog::WorkTable{catalog::create_work_table(query.columns), pstrdup(query.sql), oid_array(query.relations)};
    return work_table;
}

PlannedStmt *plan_source(const catalog::Job &job, const catalog::WorkTable &table) {
    Relation work_table = table_open(table.relation, AccessShareLock);
    Query *query = analysis::analyse_stored(table.query);
    require_same_relations(job, table, query);
    require_same_columns(job, work_table, query);
    table_close(work_table, AccessShareLock);
    PlannedStmt *plan = walk::plan_parallel(query, table.query);
    return plan;
}

void save_source(const catalog::Job &job, const catalog::WorkTable &table) {
    // One worker at a time; whoever had to wait may find that it is done.
    Relation work_table = table_open(table.relation, ShareRowExclusiveLock);
    if (catalog::has_plan(job.job_id)) {
        table_close(work_table, NoLock);
        return;
    }
    catalog::empty_work_table(work_table);
    PushActiveSnapshot(GetTransactionSnapshot());
    (void)walk::save_rows(work_table, plan_source(job, table), table.query);
    PopActiveSnapshot();
    table_close(work_table, NoLock);
    STRIDE_TEST_POINT("after_spool");
}

SpoolEstimate estimate_spool(const catalog::WorkTable &table) {
    const Plan *plan = walk::plan_parallel(analysis::analyse_stored(table.query), table.query)->planTree;
    const Size row = sizeof(ItemIdData) + MAXALIGN(SizeofHeapTupleHeader) +
                     MAXALIGN(sizeof(int64) + static_cast<Size>(plan->plan_width));
    const Size entry = sizeof(ItemIdData) + MAXALIGN(sizeof(IndexTupleData)) + MAXALIGN(sizeof(int64));
    return SpoolEstimate{plan->plan_rows, plan->plan_rows * static_cast<double>(row + entry)};
}

} // namespace stride::job
