// Signals of the server.
// Regime: pg.
#include "pace/server_signals.hpp"

#include "pg/fixed.hpp"
#include "pg/test_point.hpp"
#include "shared/signals.hpp"

namespace stride::pace {
namespace {

constexpr int64 bytes_per_mb = 1024 * 1024;

// A base backup streams, but replays nothing.
constinit pg::FixedStatement select_standbys = {
    "SELECT application_name, (replay_lsn - '0/0'::pg_lsn)::bigint, (1000 * extract(epoch FROM replay_lag))::bigint"
    " FROM pg_stat_replication WHERE state <> 'backup' ORDER BY replay_lsn NULLS LAST",
    0,
    {},
    nullptr};

// Those that wait for a job are in CALL stride.run or stride.wait.
constinit pg::FixedStatement count_activity = {
    "SELECT count(*) FILTER (WHERE backend_type = 'client backend' AND state = 'active'"
    "                        AND wait_event_type IS DISTINCT FROM 'Extension')::integer,"
    " bool_or(backend_type = 'autovacuum worker' AND query LIKE '%(to prevent wraparound)')"
    " FROM pg_stat_activity",
    0,
    {},
    nullptr};

// A vacuum that waits for its lock shows in pg_locks only.
constinit pg::FixedStatement select_vacuums = {
    "SELECT l.database, l.relation FROM pg_stat_activity AS a JOIN pg_locks AS l ON l.pid = a.pid"
    " WHERE a.backend_type = 'autovacuum worker' AND a.query LIKE '%(to prevent wraparound)'"
    " AND l.locktype = 'relation' AND l.mode = 'ShareUpdateExclusiveLock'",
    0,
    {},
    nullptr};

bool is_waiting_segment(const char *file) {
    const size_t length = strlen(file);
    constexpr const char suffix[] = ".ready";
    constexpr size_t suffix_length = sizeof(suffix) - 1;
    return length > suffix_length && strcmp(file + length - suffix_length, suffix) == 0;
}

} // namespace

void read_replication() {
    STRIDE_TEST_POINT("read_replication");
    const XLogRecPtr flushed = GetFlushRecPtr(nullptr);
    shared::Standby standbys[shared::max_standbys];
    uint64 replayed[shared::max_standbys];
    int count = 0;
    pg::read_fixed(select_standbys, {}, [&](const pg::Row &row) {
        if (count == shared::max_standbys) return;
        const char *name = row.text(1);
        shared::Standby &standby = standbys[count];
        strlcpy(standby.name, name == nullptr ? "" : name, sizeof(standby.name));
        standby.lag_ms = row.is_null(2) ? -1 : row.int64_or(3, 0);
        replayed[count++] = static_cast<uint64>(row.int64_or(2, 0));
    });
    shared::set_standbys(standbys, replayed, count, flushed);
}

void read_archive() {
    STRIDE_TEST_POINT("read_archive");
    int64 segments = 0;
    if (XLogArchivingActive()) {
        constexpr const char *path = XLOGDIR "/archive_status";
        DIR *directory = AllocateDir(path);
        const struct dirent *entry;
        while ((entry = ReadDir(directory, path)) != nullptr)
            segments += is_waiting_segment(entry->d_name) ? 1 : 0;
        FreeDir(directory);
    }
    shared::set_archive_backlog(segments * wal_segment_size / bytes_per_mb);
}

void read_activity() {
    STRIDE_TEST_POINT("read_activity");
    int active = 0;
    bool any_vacuum = false;
    pg::read_fixed(count_activity, {}, [&](const pg::Row &row) {
        active = row.int32_or(1, 0);
        any_vacuum = row.bool_or(2, false);
    });
    shared::VacuumedRelation vacuums[shared::max_vacuums];
    int nvacuums = 0;
    // pg_locks costs the whole server something, and is seldom needed.
    if (any_vacuum)
        pg::read_fixed(select_vacuums, {}, [&](const pg::Row &row) {
            if (nvacuums == shared::max_vacuums) return;
            vacuums[nvacuums++] = shared::VacuumedRelation{row.oid_or(1, InvalidOid), row.oid_or(2, InvalidOid)};
        });
    shared::set_activity(active, vacuums, nvacuums);
}

} // namespace stride::pace
