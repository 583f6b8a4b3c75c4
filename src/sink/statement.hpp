// The statement sink: the executor's own INSERT, UPDATE, DELETE, MERGE or SELECT for one chunk.
// Regime: pg.  Locks: those the plan took.  Runs user code, as the job's owner, in an atomic context: it cannot commit.
#pragma once

#include "sink/phase_times.hpp"

namespace stride::sink {

// Runs a planned statement under the active snapshot and returns the rows it processed (for a SELECT: produced)
// and the times.
// Triggers that are due at the statement's end have fired when it returns; deferred ones have not.
uint64 run_statement(PlannedStmt *plan, const char *sql, PhaseTimes *times);

} // namespace stride::sink
