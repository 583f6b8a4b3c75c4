// A worker's part in a stream: receives the rows of its split.
// Regime: pg.  Locks: none.
#pragma once

#include "process/worker_errors.hpp"

namespace stride::process {

// Joins the stream of the job for a split that the worker has claimed; false if there is none, or if the split's rows
// went to somebody before.
bool join_stream(Worker *worker, const catalog::Split &split);

// Waits until the next chunk has its rows: `limit` of them, or as many as memory is meant to hold, or what came within
// chunk_time, or the last ones.  False if the stream is broken, or the worker is asked to stop.
bool gather_rows(Worker *worker, int64 limit);

// After the commit of a chunk; leaves the stream with the end of the split.
void pass_rows(Worker *worker, int64 rows, bool split_done);

// Leaves the stream, which is broken if rows of the split are not committed.
void leave_stream(Worker *worker);

} // namespace stride::process
