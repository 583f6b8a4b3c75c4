// A time limit on a piece of work: a timer that cancels it.  statement_timeout, which does so for clients, is not armed
// outside of client backends.
// Regime: pg.  One limit a process.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

// Once, when the process has set up its signals.
void prepare_time_limit();

// After `ms` the work is cancelled, with 57014; 0 = never.
void start_time_limit(int ms);

// Ends it, after an error too; a cancel that came too late for the work is taken back.
void end_time_limit();

// True if the work that was started last was cancelled by its limit.
bool time_limit_hit();

} // namespace stride::pg
