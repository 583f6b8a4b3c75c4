// The plan of a job: for each table that it walks its upper bound, its sampled keys and its first splits.
// Regime: pg.  Locks: AccessShareLock on the source and its leaves.  Reads as the job's owner.
#pragma once

#include "catalog/job.hpp"
#include "catalog/leaf.hpp"

namespace stride::walk {

// Writes the plan in the current transaction.  The job's splits, a few for each of `workers`, are shared out by the leaves' sizes;
// a leaf with rows has one at least.  All leaves are read under one snapshot.
void plan_splits(const catalog::Job &job, List *leaves, int workers);

} // namespace stride::walk
