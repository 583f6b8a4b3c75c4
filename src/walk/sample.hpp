// A block sample of the key: what a job's splits are cut from.
// Regime: pg.  Locks: AccessShareLock on the relation, held by the caller.  Reads as the current user (the job's owner)
// under the active snapshot, so it shows nothing that the owner may not see.
#pragma once

#include "walk/key.hpp"

namespace stride::walk {

struct Sample {
    KeyText *keys; // ascending in index order, without duplicates, all at or below `upper`
    int nkeys;
    KeyText upper;        // the greatest key there is now: the walk's fixed end; nullptr if no row is visible
    double rows_estimate; // driving rows that the walk will meet, exact if all blocks were sampled; 0 if empty
};

// The greatest key that the source has in the table that is walked; nullptr if no row is visible.
KeyText greatest_key(Relation source, const Key &key);

// Rows by the size of the table and what is known of it, without a look inside; 1 at least.
double estimate_rows(Relation relation);

// Samples at most `wanted` keys of `relation`, the table that is walked for `source`: from all blocks if there are at
// most `max_blocks`, else from about that many, taken at random; none are read for fewer than two keys.  Of a foreign
// table all keys are read, in order, and raise what the look ahead would (peek.hpp).  Raises 0A000 for a relation whose
// access method cannot be sampled by blocks.
Sample sample_keys(Relation source, Relation relation, const Key &key, int wanted, BlockNumber max_blocks);

} // namespace stride::walk
