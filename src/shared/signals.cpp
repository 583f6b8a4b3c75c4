// Signals of the server.
// Regime: pg.
#include "shared/signals.hpp"

#include "pg/clock.hpp"
#include "shared/area.hpp"

namespace stride::shared {
namespace {

constexpr int64 reading_interval_us = 1000000;

double milliseconds(TimestampTz time) {
    return static_cast<double>(time) / 1000;
}

} // namespace

bool claim_signals() {
    const TimestampTz now = pg::now();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    Signals &signals = area->signals;
    // A clock that was set back must not stop the reading.
    const bool due = now >= signals.claimed_at + reading_interval_us || now < signals.claimed_at;
    if (due) signals.claimed_at = now;
    LWLockRelease(area->lock);
    return due;
}

void set_standbys(const Standby *standbys, const uint64 *replayed, int count, uint64 wal_position) {
    const TimestampTz now = pg::now();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    Signals &signals = area->signals;
    signals.wal_clock.mark(milliseconds(now), wal_position);
    signals.nstandbys = Min(count, max_standbys);
    for (int i = 0; i < signals.nstandbys; i++) {
        Standby &standby = signals.standbys[i];
        standby = standbys[i];
        if (standby.lag_ms < 0) continue;
        // What the standby itself has measured, or, where it replays nothing, for how long we have seen it behind.
        const double seen_ms = signals.wal_clock.lag_ms(milliseconds(now), replayed[i]);
        standby.lag_ms = replayed[i] >= wal_position ? 0 : Max(standby.lag_ms, static_cast<int64>(seen_ms));
    }
    signals.replication_read_at = now;
    LWLockRelease(area->lock);
}

void set_archive_backlog(int64 backlog_mb) {
    const TimestampTz now = pg::now();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    area->signals.archive_backlog_mb = backlog_mb;
    area->signals.archive_read_at = now;
    LWLockRelease(area->lock);
}

void set_activity(int active_backends, const VacuumedRelation *vacuums, int nvacuums) {
    const TimestampTz now = pg::now();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    Signals &signals = area->signals;
    signals.active_backends = active_backends;
    signals.nvacuums = Min(nvacuums, max_vacuums);
    for (int i = 0; i < signals.nvacuums; i++)
        signals.vacuums[i] = vacuums[i];
    signals.activity_read_at = now;
    LWLockRelease(area->lock);
}

Signals read_signals() {
    LWLockAcquire(area->lock, LW_SHARED);
    const Signals copy = area->signals;
    LWLockRelease(area->lock);
    return copy;
}

} // namespace stride::shared
