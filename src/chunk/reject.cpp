// The passing of a bad row.
// Regime: pg.
#include "chunk/reject.hpp"

#include "pg/test_point.hpp"
#include "pg/transaction.hpp"

namespace stride::chunk {
namespace {

bool same_key(ArrayType *a, ArrayType *b) {
    return a != nullptr && VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

// Ends a transaction that has written nothing.
void leave(MemoryContext chunk_context) {
    pg::commit_transaction();
    MemoryContextSwitchTo(chunk_context);
}

catalog::Checkpoint checkpoint_over(const Reach &reach, const Identity &identity, const Carry &carry,
                                    TimestampTz started_at) {
    catalog::Checkpoint row = {};
    row.position = reach.upper;
    row.done = reach.reached_end;
    row.worker = identity.worker;
    row.attempt = identity.attempt;
    row.rows_rejected = 1;
    row.retries = carry.retries;
    row.limit = 1;
    row.started_at = started_at;
    row.checkpoint_ms = carry.checkpoint_ms;
    row.commit_ms = carry.commit_ms;
    row.wait_ms = carry.wait_ms;
    return row;
}

} // namespace

void pass_bad_row(Work &work, const Identity &identity, catalog::Split *split, const BadRow &bad,
                  const core::RejectLimits &limits, Carry *carry, PassingResult *result) {
    *result = PassingResult{};
    const TimestampTz started_at = GetCurrentTimestamp();
    MemoryContext chunk_context = CurrentMemoryContext;

    if (!begin_chunk(work, identity, split)) {
        result->outcome = Passing::fenced;
        return;
    }
    const Reach reach = work.reach(split->position, split->upper, 1);
    Jsonb *data = bad.with_data && reach.rows > 0 ? work.row(split->position, reach.upper) : nullptr;
    PopActiveSnapshot();
    if (!same_key(reach.last, bad.key)) {
        result->outcome = Passing::gone;
        leave(chunk_context);
        return;
    }
    shared::set_phase(identity.slot, shared::Phase::checkpointing);
    const catalog::RejectCounts counts = catalog::lock_counts(split->job_id);
    result->judged = counts.judged + 1;
    result->rejected = counts.rejected + 1;
    result->verdict = core::judge_rejects(limits, result->judged, result->rejected);
    if (result->verdict != core::RejectVerdict::within) {
        result->outcome = Passing::refused;
        leave(chunk_context);
        return;
    }
    work.keep_aside(catalog::Reject{split->job_id, split->split, split->chunks + 1, bad.key, data, bad.error});
    advance(*split, checkpoint_over(reach, identity, *carry, started_at));
    STRIDE_TEST_POINT("before_commit");
    shared::set_phase(identity.slot, shared::Phase::committing);
    pg::commit_transaction();
    MemoryContextSwitchTo(chunk_context);
    *carry = Carry{};
    split->position = reach.upper;
    split->chunks++;
    split->suspect_rows = Max(static_cast<int64>(0), split->suspect_rows - 1);
    result->outcome = Passing::passed;
    result->split_done = reach.reached_end;
    shared::count_rows(identity.slot, 1, GetCurrentTimestamp());
}

} // namespace stride::chunk
