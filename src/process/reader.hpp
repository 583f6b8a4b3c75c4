// The reader of a stream: runs the job's query as its owner, once, under one snapshot, and sends the rows to the
// workers.
// Regime: pg.  Locks: those of the query, until the workers have committed the last row.
#pragma once

#include "process/worker_errors.hpp"

namespace stride::process {

// Returns when all rows are committed, when a worker has left before that, when the reader is asked to stop, or after
// an error, which is written down.  In all cases but the first the stream is broken, and the job's next reader begins
// anew, as does this one after a passing error of the query.
void run_reader(Worker *worker);

} // namespace stride::process
