// What tells a worker that crashed from one that was swept away by another's crash: a file that a worker leaves behind
// only if it does not come to its own end.  Shared memory cannot tell, as a crash empties it.
// Regime: pg.  One mark a worker, an empty file in pg_stat_tmp named by the worker's cookie.  The end of the process
// takes it away, whether it exits or the postmaster sends SIGQUIT because another process crashed or the server stops
// at once.  A mark of a split that nobody takes over any more stays, and does no harm.
#pragma once

#include "pg/pg.hpp"

namespace stride::shared {

// The worker's side: a mark for the time that it works on a split.  Without one (the file cannot be written) a crash is
// not counted.
void set_crash_mark(int64 cookie);
void clear_crash_mark();

// Whether the worker with this cookie crashed; drop_crash_mark takes its mark away once that was written down.
bool has_crash_mark(int64 cookie);
void drop_crash_mark(int64 cookie);

} // namespace stride::shared
