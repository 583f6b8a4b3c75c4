// The scheduler's reading of the server's signals into shared memory.
// Regime: pg.  Each is called in a transaction of its own, runs fixed statements only, and raises what keeps it from
// reading: the signal's time of reading then stays behind.
#pragma once

namespace stride::pace {

// How far standbys are behind.
void read_replication();

// WAL that waits to be archived.
void read_archive();

// Client sessions that run a statement, and vacuums to prevent wraparound.
void read_activity();

} // namespace stride::pace
