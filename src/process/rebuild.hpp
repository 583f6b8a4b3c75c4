// A worker that rebuilds the indexes that a job dropped.
// Regime: pg.
#pragma once

#include "process/worker_errors.hpp"

namespace stride::process {

// Rebuilds indexes of the worker's job, one a transaction, until none is due or the worker is asked to stop.
void rebuild_indexes(Worker *worker);

} // namespace stride::process
