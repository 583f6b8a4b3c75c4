// The throttle_query of a job.
// Regime: pg.  Runs user code, as the job's owner.
#pragma once

#include "pg/pg.hpp"

namespace stride::pace {

// Runs the query in a read-only transaction of its own, which is rolled back, and sets *value to the first column of
// its first row; 0 for NULL and for no row.  Returns 0, or the SQLSTATE when it failed or took longer than
// `timeout_ms`. `keep` takes what is left behind.  The caller is in no transaction.
int run_throttle_query(const char *query, int timeout_ms, MemoryContext keep, double *value);

} // namespace stride::pace
