// What the server is doing, for jobs to give way to: read once a second by a scheduler, looked at by all workers.
// Regime: pg.  Takes the area's lock for short sections.
#pragma once

#include "core/pacing.hpp"
#include "pg/pg.hpp"

namespace stride::shared {

constexpr int max_standbys = 64; // beyond, those that lag least are not seen
constexpr int max_vacuums = 32;

struct Standby {
    char name[NAMEDATALEN]; // its application_name
    int64 lag_ms;           // age of the oldest change that it has not replayed; -1 = it does not say
};

struct VacuumedRelation {
    Oid database;
    Oid relation;
};

// Guarded by the area's lock; written by the scheduler that has claimed the reading, read by workers.  A time of
// reading is 0 as long as there was none, and stays behind when the signal can't be read.
struct Signals {
    TimestampTz claimed_at;
    core::LagClock wal_clock;
    TimestampTz replication_read_at;
    int nstandbys;
    Standby standbys[max_standbys]; // the one that lags most first
    TimestampTz archive_read_at;
    int64 archive_backlog_mb;
    TimestampTz activity_read_at;
    int active_backends;
    int nvacuums;
    VacuumedRelation vacuums[max_vacuums]; // vacuums to prevent wraparound that run, or wait for their lock
};

// True for one caller a second: it is to read the signals now.
bool claim_signals();

// Each sets one signal and its time of reading.  Standbys come with the position that they have replayed.
void set_standbys(const Standby *standbys, const uint64 *replayed, int count, uint64 wal_position);
void set_archive_backlog(int64 backlog_mb);
void set_activity(int active_backends, const VacuumedRelation *vacuums, int nvacuums);

// A copy of them all.
Signals read_signals();

} // namespace stride::shared
