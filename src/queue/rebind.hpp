// Jobs that wake up on another server than the one they were validated on: restored, cloned, recovered to a point in
// time.
// Regime: pg.
#pragma once

#include "catalog/job.hpp"

namespace stride::queue {

// Why an unfinished job may not run on as it is: it was validated elsewhere.  nullptr = it may.  A mere new timeline (a
// promotion) is taken over.
const char *moved_reason(catalog::Job *job);

// At resume: looks up the job's tables and key by name where it was validated elsewhere, and compares the walk key's
// shape. Returns nullptr when the job may run, else what is missing.
const char *rebind_if_moved(catalog::Job *job);

// At a cancel: looks up the target alone, so that its dropped indexes can be rebuilt.  As above.
const char *rebind_target_if_moved(catalog::Job *job);

} // namespace stride::queue
