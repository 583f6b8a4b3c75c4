// The passing of a bad row: a transaction that keeps the row aside with its error, and moves the checkpoint over it.
// Regime: pg.  Locks: as a chunk; then the job's count of rejects, to the end of the transaction.
#pragma once

#include "core/reject_limits.hpp"

#include "chunk/transaction.hpp"

namespace stride::chunk {

// A chunk of one row that failed.
struct BadRow {
    ArrayType *key;
    const ErrorData *error;
    bool with_data; // false when the row itself can't be turned into jsonb
};

enum class Passing {
    passed,
    gone,   // another row comes next now: nothing was written
    fenced, // the split is another worker's: nothing was written
    refused // the job's limits are reached: nothing was written
};

struct PassingResult {
    Passing outcome;
    core::RejectVerdict verdict; // what refused it
    int64 judged;                // the job's rows at that, the bad row included
    int64 rejected;
    bool split_done;
};

// Passes the bad row that comes next in the split, unless the job has had enough of them.  `split` and `carry` are
// brought up to date.
void pass_bad_row(Work &work, const Identity &identity, catalog::Split *split, const BadRow &bad,
                  const core::RejectLimits &limits, Carry *carry, PassingResult *result);

} // namespace stride::chunk
