// The work of a job that drives the rejects of another job again: the statement of that job, with a list of keys in the
// place of a range.
// Regime: pg.  Locks: as job/chunk_statement.hpp; then rows of stride_catalog.reject, which nobody but such a job
// takes.
//
// Its walk is that of the rejects by their id: a split's and a chunk's "keys" are reject ids.  In the chunk's
// transaction the rejects whose rows passed are removed, and so is one whose row is no longer there.
#pragma once

#include "job/chunk_statement.hpp"

namespace stride::job {

// Writes the plan of such a job in the current transaction.  Its leaves are those of the job that holds the rejects.
void plan_retry(const catalog::Job &job, int workers);

struct RetryStatement final : ChunkStatement {
    using ChunkStatement::ChunkStatement;

    chunk::Reach reach(ArrayType *position, ArrayType *upper, int64 limit) override;
    void settle() override;
    void keep_aside(const catalog::Reject &reject) override;

    catalog::RejectedKeys rejects = {}; // of the chunk

protected:
    Node *qual(int varno, ArrayType *lower, ArrayType *upper) const override;
};

} // namespace stride::job
