// Drops the indexes of a load's target and creates them again (indexes => 'rebuild').
// Regime: pg.  Runs as the job's owner, in a transaction of the caller's, through ProcessUtility, so that event
// triggers and auditing hooks see what is done.
#pragma once

#include "catalog/dropped_index.hpp"

namespace stride::sink {

// In the planning transaction: locks the target in ACCESS EXCLUSIVE mode, checks everything of require_rebuildable()
// again, stores the definitions of the indexes that are to be rebuilt and drops them.  Does nothing to a job that has a
// plan.
void drop_indexes(const catalog::Job &job);

// Creates the index again, with its comment and statistics targets, and marks it as rebuilt.  One of that name that is
// there already counts as rebuilt, and one whose table has gone is abandoned, with an event.  Locks the target in SHARE
// mode.
void rebuild_index(const catalog::Job &job, const catalog::DroppedIndex &dropped);

} // namespace stride::sink
