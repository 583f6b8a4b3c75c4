// The statement sink: the executor's own INSERT, UPDATE, DELETE, MERGE or SELECT for one chunk.
// Regime: pg.  Locks: those the plan took.  Runs user code, as the job's owner, in an atomic context: it cannot commit.
#pragma once

#include "sink/phase_times.hpp"

namespace stride::sink {

struct Written {
    uint64 rows; // processed (for a SELECT: produced)
    uint64
        suppressed; // of an INSERT: rows that were not written, by ON CONFLICT DO NOTHING, as duplicates, or by a trigger
    uint64 dropped; // of these, the duplicates
};

// Runs a planned statement under the active snapshot, and takes the times; an INSERT's rows come through a feed
// (sink/feed.hpp).  Triggers that are due at the statement's end have fired when it returns; deferred ones have not.
// `environment` as of run_bulk().
Written run_statement(PlannedStmt *plan, const char *sql, QueryEnvironment *environment, bool keeps_last,
                      PhaseTimes *times);

} // namespace stride::sink
