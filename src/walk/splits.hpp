// The plan of a job: for each table that it walks its upper bound, its sampled keys and its first splits.
// Regime: pg.  Locks: AccessShareLock on the source and its leaves.  Reads as the job's owner.
#pragma once

#include "catalog/job.hpp"
#include "catalog/leaf.hpp"

namespace stride::walk {

// Writes the plan in the current transaction.  The job's splits, a few for each of `workers`, are shared out by the
// leaves' sizes; a leaf with rows has one at least.  All leaves are read under one snapshot.
void plan_splits(const catalog::Job &job, List *leaves, int workers);

// The same for a job whose keys were saved, and are walked by their ordinals: `saved[i]` keys for the leaf at index i
// of `leaves`, one leaf's after the other's.
void plan_saved_keys(const catalog::Job &job, List *leaves, const int64 *saved, int workers);

// About how many rows the tables that are walked have, without a look inside.
double estimate_rows(List *leaves);

} // namespace stride::walk
