// One chunk of a statement job.
// Regime: pg.  The statement is analysed anew for every chunk, so that it is always the tables of now that are worked on,
// and the tables that it was bound to are compared with those that the plan uses.
#include "job/chunk_statement.hpp"

#include "analysis/statement.hpp"
#include "job/row_data.hpp"
#include "pg/session.hpp"
#include "sink/bulk.hpp"
#include "sink/statement.hpp"
#include "walk/peek.hpp"
#include "walk/plan.hpp"
#include "walk/shape.hpp"

namespace stride::job {
namespace {

[[noreturn]] void source_changed(const catalog::Job &job, const char *detail) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the tables of job %lld have changed since it was submitted", static_cast<long long>(job.job_id)),
             errdetail("%s", detail),
             errhint("Cancel the job with SELECT stride.cancel(%lld) and submit the statement again.",
                     static_cast<long long>(job.job_id))));
    pg_unreachable();
}

// A name may have been given to another table since submit; the plan must use exactly the tables that were bound then.
void require_bound_relations(const catalog::Job &job, const PlannedStmt *planned) {
    Datum *bound;
    int count;
    deconstruct_array(job.relations, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &bound, nullptr, &count);
    for (int i = 0; i < count; i++) {
        bool used = list_member_oid(planned->relationOids, DatumGetObjectId(bound[i]));
        ListCell *cell;
        foreach (cell, planned->rtable) {
            const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
            used = used || entry->relid == DatumGetObjectId(bound[i]);
        }
        if (!used)
            source_changed(job,
                           psprintf("The plan of a chunk does not use the table with OID %u that the statement named.",
                                    DatumGetObjectId(bound[i])));
    }
}

} // namespace

LOCKMODE chunk_lock_mode(const catalog::Job &job, Oid relation) {
    return relation == job.target ? RowExclusiveLock : AccessShareLock;
}

void ChunkStatement::lock_and_check() {
    Datum *relations;
    int count;
    deconstruct_array(job.relations, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &relations, nullptr, &count);
    for (int i = 0; i < count; i++) {
        const Oid relation = DatumGetObjectId(relations[i]);
        LockRelationOid(relation, chunk_lock_mode(job, relation));
        if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)))
            source_changed(job, psprintf("The table with OID %u no longer exists.", relation));
    }
    Relation source = table_open(job.source, NoLock);
    key = walk::load_key(source, job.key_index);
    const char *shape = walk::key_shape(key);
    if (strcmp(shape, job.source_shape) != 0)
        source_changed(job, psprintf("The walk key was (%s) and is now (%s).", job.source_shape, shape));
    table_close(source, NoLock);
}

chunk::Reach ChunkStatement::reach(ArrayType *position, ArrayType *upper, int64 limit) {
    Relation source = table_open(job.source, NoLock);
    const int nest_level = pg::pin_search_path();
    const walk::Peek peek = walk::peek(source, key, walk::KeyRange{position, upper}, limit);
    pg::unpin(nest_level);
    table_close(source, NoLock);
    return chunk::Reach{peek.rows, peek.reached_end ? upper : peek.last, peek.last, peek.reached_end};
}

Jsonb *ChunkStatement::row(ArrayType *lower, ArrayType *upper) {
    Relation source = table_open(job.source, NoLock);
    Jsonb *data = row_data(source, key, qual(1, lower, upper));
    table_close(source, NoLock);
    return data;
}

void ChunkStatement::plan(ArrayType *lower, ArrayType *upper) {
    const int nest_level = pg::pin_search_path();
    Query *query = analysis::analyse_stored(job.stored_sql);
    const analysis::Driver driver = analysis::find_driver(query, job.source, job.stored_alias);
    analysis::add_range(query, driver, qual(driver.rtindex, lower, upper));
    planned = walk::plan_through_key(query, job.stored_sql, job.source, job.key_index).statement;
    require_bound_relations(job, planned);
    pg::unpin(nest_level);
}

Node *ChunkStatement::qual(int varno, ArrayType *lower, ArrayType *upper) const {
    return walk::range_qual(key, varno, walk::KeyRange{lower, upper});
}

int64 ChunkStatement::run(sink::PhaseTimes *times) {
    // Judged for every chunk, under the chunk's locks: a trigger may have come since the last one.
    const bool bulk = !settings.statement_sink && sink::bulk_refusal(planned) == nullptr;
    return static_cast<int64>(bulk ? sink::run_bulk(planned, job.stored_sql, times)
                                   : sink::run_statement(planned, job.stored_sql, times));
}

bool ChunkStatement::one_to_one() const {
    return job.one_to_one;
}

} // namespace stride::job
