// The keeper.
// Regime: pg.  The flag of its slot is up only while it has the lock and nobody has written since the job was planned.
#include "process/keeper.hpp"

#include "bridge/attempt.hpp"
#include "catalog/leaf.hpp"
#include "job/block_walk.hpp"
#include "job/leaves.hpp"
#include "pg/background.hpp"
#include "pg/session.hpp"
#include "pg/transaction.hpp"
#include "shared/wakeup.hpp"
#include "walk/block.hpp"

namespace stride::process {
namespace {

constexpr long look_ms = 1000; // for an extension that was dropped under it

bool asked_to_stop(const Worker &worker) {
    return shared::wanted_stop(worker.slot) != shared::Stop::none;
}

// Nothing but an abort gives a session's locks on tables back by itself, not even the end of its process.
void let_go(shared::WorkerSlot *slot) {
    shared::set_source_held(slot, false);
    LockReleaseAll(DEFAULT_LOCKMETHOD, true);
}

void let_go_at_exit(int, Datum slot) {
    auto *held = reinterpret_cast<shared::WorkerSlot *>(DatumGetPointer(slot));
    if (IsTransactionState())
        shared::set_source_held(held, false); // the abort, which comes next, lets go
    else
        let_go(held);
}

void require_unwritten(const catalog::Job &job, const catalog::Leaf &leaf) {
    (void)job::require_same_key(job, leaf);
    Relation relation = table_open(leaf.relation, NoLock);
    ItemPointerData place;
    if (walk::was_written(relation, leaf.locked_xid, &place))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("%s was written while job %lld did not lock it", leaf.relation_name,
                        static_cast<long long>(job.job_id)),
                 errdetail("The row at (%u,%u) may have come since, and another may have moved to where the walk has "
                           "been.",
                           ItemPointerGetBlockNumber(&place), ItemPointerGetOffsetNumber(&place)),
                 errhint("Submit the job again; a table with a primary key is walked without a lock.")));
    table_close(relation, NoLock);
}

// Of a table that is no longer there, or no longer beneath the source, the chunks say so.
void require_all_unwritten(const catalog::Job &job, const List *tree) {
    const catalog::SplitCounts splits = catalog::count_splits(job.job_id);
    if (splits.all == splits.done) return;
    ListCell *cell;
    foreach (cell, catalog::leaves_of(job.job_id)) {
        const auto *leaf = static_cast<const catalog::Leaf *>(lfirst(cell));
        if (leaf->walked && list_member_oid(tree, leaf->relation)) require_unwritten(job, *leaf);
    }
}

void keep_locks(const List *tree) {
    ListCell *cell;
    foreach (cell, tree) {
        Relation relation = relation_open(lfirst_oid(cell), NoLock);
        LockRelId id = relation->rd_lockInfo.lockRelId;
        LockRelationIdForSession(&id, ShareLock);
        relation_close(relation, NoLock);
    }
}

// In a transaction that ends at once: DROP EXTENSION must not wait for a process that only waits itself.
void take(Worker *worker) {
    shared::set_phase(worker->slot, shared::Phase::planning);
    pg::begin_transaction();
    MemoryContextSwitchTo(worker->chunk_memory);
    const List *tree = job::lock_tree(*worker->job);
    require_all_unwritten(*worker->job, tree);
    keep_locks(tree);
    pg::commit_transaction();
}

bool is_gone(const Worker &worker) {
    pg::begin_transaction();
    const bool gone = pg::extension_oid() != worker.extension;
    pg::commit_transaction();
    return gone;
}

void hold(Worker *worker) {
    shared::set_phase(worker->slot, shared::Phase::keeping);
    pgstat_report_activity(STATE_IDLE, nullptr);
    shared::set_source_held(worker->slot, true);
    shared::wake(MyDatabaseId);
    while (!asked_to_stop(*worker)) {
        pg::wait_latch(look_ms, PG_WAIT_EXTENSION);
        if (!PostmasterIsAlive()) proc_exit(1);
        CHECK_FOR_INTERRUPTS();
        if (is_gone(*worker)) proc_exit(0);
    }
}

} // namespace

void keep_source(Worker *worker) {
    before_shmem_exit(let_go_at_exit, PointerGetDatum(worker->slot));
    for (int attempt = 1; !asked_to_stop(*worker); attempt++) {
        MemoryContextReset(worker->chunk_memory);
        ErrorData *error = bridge::attempt(worker->chunk_memory, [&] {
            take(worker);
            hold(worker);
        });
        shared::set_source_held(worker->slot, false);
        if (error != nullptr) AbortCurrentTransaction();
        let_go(worker->slot);
        if (error == nullptr || wait_before_retry(worker, attempt, error)) continue;
        if (!asked_to_stop(*worker)) record_planning_error(worker, error);
        return;
    }
}

} // namespace stride::process
