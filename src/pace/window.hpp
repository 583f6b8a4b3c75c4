// The daily window of a job.
// Regime: pg.  Locks: none.
#pragma once

#include "pg/pg.hpp"

namespace stride::pace {

// Why a job with this time_window ("" = none) may not run now, by the clock of `zone`; nullptr = it may.
const char *outside_window(const char *time_window, pg_tz *zone);

// The submitter's time zone, as captured with the job; that of this session where it is not known here.
pg_tz *zone_of(Jsonb *captured);

} // namespace stride::pace
