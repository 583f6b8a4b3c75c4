// One chunk of a statement job.
// Regime: pg.  The statement is analysed anew for every chunk, so that it is always the tables of now that are worked
// on, and the tables that it was bound to are compared with those that the plan uses.
#include "job/chunk_statement.hpp"

#include "analysis/analysis.hpp"
#include "catalog/work_table.hpp"
#include "job/function_version.hpp"
#include "job/block_walk.hpp"
#include "job/leaves.hpp"
#include "job/row_data.hpp"
#include "pg/session.hpp"
#include "sink/bulk.hpp"
#include "sink/statement.hpp"
#include "walk/spool.hpp"

namespace stride::job {
namespace {

// Locks rows as a DELETE would, after waiting for those who change them now.  The right to delete them, which the
// chunk's statement checks, is taken as enough for that.
void lock_rows(Relation source, const walk::Key &key, walk::Access access, Node *condition) {
    const char *sql = psprintf(
        "SELECT FROM %s%s FOR UPDATE", key.relation == key.source ? "ONLY " : "",
        quote_qualified_identifier(get_namespace_name(RelationGetNamespace(source)), RelationGetRelationName(source)));
    Query *query = walk::analyse_own(sql);
    walk::add_condition(query, condition);
#if PG_VERSION_NUM >= 160000
    linitial_node(RTEPermissionInfo, query->rteperminfos)->requiredPerms = ACL_SELECT;
#else
    linitial_node(RangeTblEntry, query->rtable)->requiredPerms = ACL_SELECT;
#endif
    walk::Driving driving = walk::driving_of(query, key);
    driving.access = access;
    walk::run_plan(walk::plan_walk(query, sql, driving).statement, sql, None_Receiver);
}

// Rows that meet twice in one chunk are the transform's to bring together.
void add_merge_hint(void *) {
    if (geterrcode() == ERRCODE_CARDINALITY_VIOLATION)
        errhint("Aggregate in transform_query, so that each key comes once a chunk; update_set merges the chunks.");
}

// A row that a trigger keeps out of the target would be deleted without being anywhere.
void require_all_written(const catalog::Job &job, const sink::Written &written) {
    if (!job.deletes_source || written.suppressed == written.dropped) return;
    ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                    errmsg("a trigger of the target %s kept rows out of it, which delete_source would delete",
                           job.target_name),
                    errhint("Leave these rows out by a transform, or submit the pipeline without delete_source.")));
}

// That a target was no perishable one when the session had heard of so many changes.
struct Durable {
    Oid target;
    uint64 changes; // pg::table_changes()
    bool operator==(const Durable &) const = default;
};
constinit Durable known_durable = {};

// ALTER TABLE .. SET UNLOGGED takes effect at the next crash, after which nobody could tell what the target has lost.  Its
// partitions, which may be thousands, are looked at again only after a table of the database has changed.
void require_durable(Oid target) {
    const Durable now = {target, pg::table_changes()};
    if (now == known_durable) return;
    analysis::refuse_perishable_target(target, false);
    known_durable = now;
}

chunk::Outcomes run_by_executor(const catalog::Job &job, PlannedStmt *planned, QueryEnvironment *environment,
                                sink::PhaseTimes *times) {
    ErrorContextCallback callback = {error_context_stack, add_merge_hint, nullptr};
    if (job.pipeline != nullptr) error_context_stack = &callback;
    const sink::Written written = sink::run_statement(planned, job.stored_sql, environment, job.keeps_last, times);
    error_context_stack = callback.previous;
    require_all_written(job, written);
    return {static_cast<int64>(written.rows), static_cast<int64>(written.suppressed)};
}

} // namespace

void ChunkStatement::require_bound_relations() const {
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
            raise_source_changed(
                job, psprintf("The plan of a chunk does not use the table with OID %u that the statement named.",
                              DatumGetObjectId(bound[i])));
    }
}

LOCKMODE chunk_lock_mode(const catalog::Job &job, Oid relation) {
    const bool written = relation == job.target || (job.deletes_source && relation == job.source);
    return written ? RowExclusiveLock : AccessShareLock;
}

bool ChunkStatement::lock_driving_rows(Relation driving, Node *condition) {
    if (!job.deletes_source || job.transform == nullptr) return false;
    lock_rows(driving, key, access(), condition);
    // What others did to the rows before they were locked is part of the chunk.
    PopActiveSnapshot();
    PushActiveSnapshot(GetTransactionSnapshot());
    return true;
}

void ChunkStatement::lock_and_check(const catalog::Split &split) {
    Datum *relations;
    int count;
    deconstruct_array(job.relations, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &relations, nullptr, &count);
    if (walks_blocks(job)) stay_reader(job.source);
    for (int i = 0; i < count; i++) {
        const Oid relation = DatumGetObjectId(relations[i]);
        LockRelationOid(relation, chunk_lock_mode(job, relation));
        if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)))
            raise_source_changed(job, psprintf("The table with OID %u no longer exists.", relation));
    }
    // A leaf after its parent, as everybody locks them.
    const catalog::Leaf found = catalog::find_leaf(job.job_id, split.leaf);
    if (walks_blocks(job)) stay_reader(found.relation);
    LockRelationOid(found.relation, chunk_lock_mode(job, job.source));
    require_same_tree(job, found, settings);
    leaf = split.leaf;
    key = require_same_key(job, found);
    // None can come while the chunk's locks are there.
    if (job.deletes_source) analysis::refuse_cascades(list_make1_oid(found.relation), job.source, job.target);
    require_transform_version(job);
    if (OidIsValid(job.target) && !settings.delivery_at_least_once) require_durable(job.target);
}

chunk::Reach ChunkStatement::reach(ArrayType *position, ArrayType *upper, int64 limit) {
    if (walks_blocks(job)) (void)require_keeper(job);
    Relation source = table_open(job.source, NoLock);
    walk::Peek peek = catalog::is_work_table(key.relation)
                          ? walk::peek_ordinals(key, walk::KeyRange{position, upper}, limit)
                          : walk::peek(source, key, walk::KeyRange{position, upper}, limit);
    ArrayType *last = peek.reached_end ? upper : peek.last;
    const bool reached_end = peek.reached_end;
    if (peek.rows > 0 && lock_driving_rows(source, walk::range_qual(key, 1, walk::KeyRange{position, last})))
        peek = walk::peek(source, key, walk::KeyRange{position, last}, PG_INT64_MAX);
    table_close(source, NoLock);
    return chunk::Reach{peek.rows, last, peek.last, reached_end};
}

Jsonb *ChunkStatement::row(ArrayType *lower, ArrayType *upper) {
    Relation source = table_open(job.source, NoLock);
    Jsonb *data = row_data(source, key, qual(1, lower, upper));
    table_close(source, NoLock);
    return data;
}

void ChunkStatement::plan(ArrayType *lower, ArrayType *upper) {
    Query *query = analysis::analyse_stored(job.stored_sql);
    const analysis::Driver driver = analysis::find_driver(query, job.source, job.stored_alias);
    analysis::add_range(query, driver, qual(driver.rtindex, lower, upper));
    walk::Driving driving = {analysis::entry_of(driver), nullptr, pg::ChildTable{job.source, key.relation}, access(),
                             key.index};
    if (const analysis::Driver deleted = analysis::find_deleted(query, driver); deleted.level != nullptr) {
        analysis::add_range(query, deleted, qual(deleted.rtindex, lower, upper));
        driving.second = analysis::entry_of(deleted);
    }
    planned = walk::plan_walk(query, job.stored_sql, driving).statement;
    require_bound_relations();
}

Node *ChunkStatement::qual(int varno, ArrayType *lower, ArrayType *upper) const {
    return walk::range_qual(key, varno, walk::KeyRange{lower, upper});
}

walk::Access ChunkStatement::access() const {
    return walk::access_of(key);
}

chunk::Outcomes ChunkStatement::run(sink::PhaseTimes *times) {
    // Judged for every chunk, under the chunk's locks: a trigger may have come since the last one.
    const bool bulk = !settings.statement_sink && sink::bulk_refusal(planned) == nullptr;
    chunk::Outcomes outcomes = {};
    if (bulk)
        outcomes.written = static_cast<int64>(sink::run_bulk(planned, job.stored_sql, environment, times));
    else
        outcomes = run_by_executor(job, planned, environment, times);
    // What replaced the function while the statement ran is seen now, if it was in time to be called.
    AcceptInvalidationMessages();
    require_transform_version(job);
    return outcomes;
}

bool ChunkStatement::one_to_one() const {
    return job.one_to_one;
}

} // namespace stride::job
