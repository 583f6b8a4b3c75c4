// The work of a job whose rows were chosen before it began: the keys that its statement finds are saved in a work table
// when it is planned, and its chunks are runs of them.
// Regime: pg.  Locks: as job/chunk_statement.hpp, then the work table; planning makes it.  Planning runs the conditions
// of the statement, as the job's owner, in an atomic context.
//
// Its walk is that of the keys by the ordinals under which they were saved: they are what a split's and a chunk's
// "keys" are. The statement's conditions are looked at again by each chunk, so that saving more than the rows that meet
// them costs time alone.
#pragma once

#include "job/chunk_statement.hpp"

namespace stride::job {

// Whether a job's keys are saved, as its submission has decided: no rows of a query are, which a work table has that is
// the job's source.  Looks nothing up, and may be called outside a transaction.
bool saves_keys(const catalog::Job &job);

// When the keys of a job that is being prepared are saved: never, where the statement finds but a small part of a large
// table, or always.
enum class KeySaving : unsigned char { never, if_few, always };

// Why the keys are saved, as text; nullptr = they are not.  Raises 0A000 where they should always be, but cannot.
const char *why_keys_are_saved(const catalog::Job &job, List *leaves, KeySaving when);

// Saves the keys and writes the plan, in the current transaction.
void plan_saved_keys(const catalog::Job &job, int workers);

// What a chunk of such a job has to do with: its keys as arrays, one a column, and what they lie between.
struct SavedKeys {
    int64 count;
    walk::KeyRange range; // from the key before the first one (nullptr = there is none) to the last one
    Datum columns[INDEX_MAX_KEYS];
    bool dense; // so many of the rows in the range that it is better read than looked into
};

struct WorklistStatement final : ChunkStatement {
    using ChunkStatement::ChunkStatement;

    chunk::Reach reach(ArrayType *position, ArrayType *upper, int64 limit) override;
    int64 vanished(int64 unaccounted) override;

    SavedKeys keys = {}; // of the chunk

protected:
    Node *qual(int varno, ArrayType *lower, ArrayType *upper) const override;
    walk::Access access() const override;
};

} // namespace stride::job
