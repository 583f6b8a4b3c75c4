// The chunk transaction.
// Regime: pg.  See the header for the locks; the order of the steps is the promise (reliability 6.3).
#include "chunk/transaction.hpp"

#include "pg/clock.hpp"
#include "pg/test_point.hpp"
#include "pg/time_limit.hpp"
#include "pg/transaction.hpp"

namespace stride::chunk {
namespace {

// The owner switch wraps only our fixed statements: between them every identity is the job's owner.
void require_owner(Oid owner) {
    if (GetUserId() != owner || GetSessionUserId() != owner || GetOuterUserId() != owner)
        ereport(ERROR, (errcode(ERRCODE_INVALID_ROLE_SPECIFICATION),
                        errmsg("the worker's session has another role than the job's owner"),
                        errdetail("A function of the job has set it to \"%s\".", GetUserNameFromId(GetUserId(), true)),
                        errhint("Give the role to the function itself (SECURITY DEFINER), or set it by SET LOCAL.")));
    if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(owner)))
        ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
                        errmsg("the job's owner, role with OID %u, no longer exists", owner),
                        errhint("Submit the job again as a role that exists.")));
}

// Deferred constraints and triggers fire here, where their errors still belong to this chunk, and as the owner.
void make_constraints_immediate() {
    ConstraintsSetStmt *everything = makeNode(ConstraintsSetStmt);
    everything->constraints = NIL;
    everything->deferred = false;
    AfterTriggerSetState(everything);
}

struct Measured {
    Reach reach;
    Outcomes rows;
    int64 unaccounted; // rows neither written nor suppressed
    int64 vanished;
    double fence_ms;
    double plan_ms;
    double look_ahead_ms;
    double run_ms; // the statement, with its deferred constraints
    sink::PhaseTimes times;
};

Measured read_and_write(Work &work, const Identity &identity, const catalog::Split &split, int64 limit, Reach *reach) {
    Measured measured = {};
    shared::set_phase(identity.slot, shared::Phase::reading);
    instr_time start = pg::start_clock();
    *reach = measured.reach = work.reach(split.position, split.upper, limit);
    measured.look_ahead_ms = pg::milliseconds_since(start);
    STRIDE_TEST_POINT("after_peek");
    if (measured.reach.rows == 0) return measured;

    shared::set_phase(identity.slot, shared::Phase::writing);
    start = pg::start_clock();
    work.plan(split.position, measured.reach.upper);
    measured.plan_ms = pg::milliseconds_since(start);
    start = pg::start_clock();
    measured.rows = work.run(&measured.times);
    measured.unaccounted = measured.reach.rows - measured.rows.written - measured.rows.suppressed;
    measured.vanished = work.vanished(measured.unaccounted);
    make_constraints_immediate();
    measured.run_ms = pg::milliseconds_since(start);
    STRIDE_TEST_POINT("after_write");
    return measured;
}

void checkpoint(const Work &work, const Identity &identity, const catalog::Split &split, int64 limit,
                const Measured &measured, TimestampTz started_at, const Carry &carried, uint64 wal_before) {
    const sink::PhaseTimes &times = measured.times;
    catalog::Checkpoint row = {};
    row.position = measured.reach.upper;
    row.done = measured.reach.reached_end;
    row.worker = identity.worker;
    row.attempt = identity.attempt;
    row.rows_read = measured.reach.rows;
    row.rows_written = measured.rows.written;
    row.rows_suppressed = measured.rows.suppressed;
    row.rows_vanished = measured.vanished;
    row.rows_filtered = work.one_to_one() ? Max(static_cast<int64>(0), measured.unaccounted - measured.vanished) : 0;
    row.started_at = started_at;
    row.plan_ms = measured.plan_ms;
    row.read_ms = measured.look_ahead_ms + times.read_ms;
    row.transform_ms = times.transform_ms;
    row.write_ms = Max(0.0, measured.run_ms - times.read_ms - times.transform_ms - times.index_ms);
    row.index_ms = times.index_ms;
    row.checkpoint_ms = measured.fence_ms + carried.checkpoint_ms;
    row.commit_ms = carried.commit_ms;
    row.wait_ms = carried.wait_ms;
    row.retries = carried.retries;
    row.limit = limit;
    row.wal_bytes = static_cast<int64>(pgWalUsage.wal_bytes - wal_before);
    shared::set_phase(identity.slot, shared::Phase::checkpointing);
    advance(split, row);
}

} // namespace

bool begin_chunk(Work &work, const Identity &identity, catalog::Split *split) {
    MemoryContext chunk_context = CurrentMemoryContext;
    shared::set_phase(identity.slot, shared::Phase::fencing);
    pg::begin_transaction();
    MemoryContextSwitchTo(chunk_context);
    LockDatabaseObject(ExtensionRelationId, identity.extension, 0, AccessShareLock);
    require_owner(identity.owner);
    if (!catalog::fence(split)) {
        pg::commit_transaction();
        MemoryContextSwitchTo(chunk_context);
        return false;
    }
    STRIDE_TEST_POINT("after_fence");
    work.lock_and_check(*split);
    PushActiveSnapshot(GetTransactionSnapshot());
    return true;
}

void advance(const catalog::Split &split, const catalog::Checkpoint &row) {
    if (!catalog::write_checkpoint(split, row))
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("split %d of job %lld was taken over while a chunk of it ran", split.split,
                               static_cast<long long>(split.job_id))));
}

void run_chunk(Work &work, const Identity &identity, catalog::Split *split, const Limits &limits, Carry *carry,
               Result *result) {
    *result = Result{};
    const uint64 wal_before = pgWalUsage.wal_bytes;
    const TimestampTz started_at = GetCurrentTimestamp();
    MemoryContext chunk_context = CurrentMemoryContext;

    const instr_time start = pg::start_clock();
    if (!begin_chunk(work, identity, split)) {
        result->outcome = Outcome::fenced;
        return;
    }
    const double fence_ms = pg::milliseconds_since(start);
    pg::start_time_limit(limits.time_ms);
    Measured measured = read_and_write(work, identity, *split, limits.rows, &result->reach);
    pg::end_time_limit();
    measured.fence_ms = fence_ms;
    PopActiveSnapshot();
    const instr_time checkpoint_start = pg::start_clock();
    work.settle();
    checkpoint(work, identity, *split, limits.rows, measured, started_at, *carry, wal_before);
    // A claim of its own would be another commit to wait for.  It may not be lost in a crash, which is counted by it.
    if (measured.reach.reached_end)
        result->has_next = catalog::claim_free_split(split->job_id, identity.cookie, limits.next_rows, &result->next);
    const double checkpoint_ms = pg::milliseconds_since(checkpoint_start);
    STRIDE_TEST_POINT("before_commit");
    shared::set_phase(identity.slot, shared::Phase::committing);
    const instr_time commit_start = pg::start_clock();
    pg::commit_transaction();
    MemoryContextSwitchTo(chunk_context);
    STRIDE_TEST_POINT("after_commit");

    *carry = Carry{checkpoint_ms, pg::milliseconds_since(commit_start), 0, 0};
    result->work_ms = pg::milliseconds_since(start);
    result->outcome = measured.reach.reached_end ? Outcome::split_done : Outcome::committed;
    split->position = measured.reach.upper;
    split->chunks++;
    split->suspect_rows = Max(static_cast<int64>(0), split->suspect_rows - measured.reach.rows);
    shared::count_rows(identity.slot, measured.reach.rows, GetCurrentTimestamp());
}

} // namespace stride::chunk
