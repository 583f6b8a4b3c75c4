// The bulk sink: the rows of an INSERT .. SELECT go to the table in batches, as COPY writes them.
// Regime: pg.  Locks: those the plan took. The SELECT half is run by the executor, whose plan already holds defaults,
// casts and the privilege checks of the whole INSERT; this room does what ModifyTable would do with each row.
#pragma once

#include "sink/phase_times.hpp"

namespace stride::sink {

// Why a planned statement has to be left to the executor; nullptr = the bulk sink gives the same result.  Static or
// palloc'd.
const char *bulk_refusal(PlannedStmt *plan);

// Runs an INSERT for which bulk_refusal() is nullptr, under the active snapshot; returns the rows written and the
// times. `plan` is consumed; `environment` holds the tuplestores that it reads, nullptr if there are none.
uint64 run_bulk(PlannedStmt *plan, const char *sql, QueryEnvironment *environment, PhaseTimes *times);

} // namespace stride::sink
