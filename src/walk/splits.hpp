// The plan of a job: its upper bound, its sampled keys and its first splits.
// Regime: pg.  Locks: AccessShareLock on the source.  Reads as the job's owner.
#pragma once

#include "catalog/job.hpp"

namespace stride::walk {

// Writes the plan in the current transaction, unless there is one already: then false.  `workers` is how many will
// share the splits.
bool plan_splits(const catalog::Job &job, int workers);

} // namespace stride::walk
