// The keeper of a walk by blocks: holds SHARE on its source for as long as its chunks run, as a session, outside of any
// transaction. A worker cannot do that beside its chunks: the abort of one that fails would give all its locks back.
// Regime: pg.
#pragma once

#include "process/worker_errors.hpp"

namespace stride::process {

// Takes the lock, waiting with growing pauses for those who write, and holds it until it is asked to stop.  If the job
// is planned, somebody may have written since the last keeper: the tables are looked through first, and the job fails
// (55000) if a row has come. Failures are written down.
void keep_source(Worker *worker);

} // namespace stride::process
