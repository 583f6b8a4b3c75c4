// Where the time of one executor run goes: reading, transforming, writing.
// Regime: pg.  Cheap enough to be always on: functions that run once a row are timed at their first 64 calls, which
// may do the work of all (a function in FROM), and then at every 16th or so, at random.
#pragma once

#include "pg/pg.hpp"

namespace stride::sink {

// What is left of the run's time is the sink's: heap, triggers, constraints, and indexes where the executor writes.
struct PhaseTimes {
    double read_ms;      // scans, joins, conditions, sorts, aggregates
    double transform_ms; // expressions of the statement's columns, and functions that return sets
    double index_ms;     // index entries and AFTER ROW events of the bulk sink; 0 where the executor writes them
};

struct PhaseClock;

// Puts the clocks into a started plan, before its first row.  They go with the executor's state.  Of one plan at a
// time.
PhaseClock *start_phase_clock(QueryDesc *query);

// After the run.
PhaseTimes read_phase_clock(const PhaseClock *clock);

} // namespace stride::sink
