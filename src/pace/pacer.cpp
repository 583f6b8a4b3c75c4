// A worker's pace.
// Regime: pg.  Each check_* is one throttle; the first that holds is the one that is shown.
#include "core/pacing.hpp"

#include "pace/pacer.hpp"

#include "pace/query.hpp"
#include "pace/window.hpp"
#include "pg/clock.hpp"
#include "shared/signals.hpp"

namespace stride::pace {
namespace {

using settings::Settings;

constexpr long switch_look_ms = 1000; // a look at what somebody turns, or the time of the day
constexpr long signal_look_ms = 250;
constexpr long query_look_ms = 20; // while another worker reads it
constexpr long longest_nap_ms = 500;

constexpr Hold nothing = {nullptr, 0};

Hold hold_for(const char *reason, double wait_ms) {
    return Hold{reason, static_cast<long>(Min(wait_ms, static_cast<double>(longest_nap_ms))) + 1};
}

// True when a signal was not read for so long that what it said no longer counts.
bool is_lost(const Pacer &pacer, TimestampTz read_at) {
    const TimestampTz since = Max(read_at, pacer.started_at);
    return core::signal_lost(static_cast<double>(pg::now() - since) / 1000);
}

Hold hold_for_lost(const char *setting, const char *signal) {
    return Hold{psprintf("%s: %s could not be read for %g s", setting, signal, core::signal_lost_ms / 1000),
                signal_look_ms};
}

Hold check_window(const Pacer &, const Settings &settings) {
    return Hold{outside_window(settings.time_window, session_timezone), switch_look_ms};
}

Hold check_vacuum(const Pacer &pacer, const Settings &settings, const shared::Signals &signals) {
    if (!settings.pause_for_vacuum) return nothing;
    if (is_lost(pacer, signals.activity_read_at)) return hold_for_lost("pause_for_vacuum", "what vacuum does");
    for (int i = 0; i < signals.nvacuums; i++) {
        const shared::VacuumedRelation &vacuum = signals.vacuums[i];
        if (vacuum.database == MyDatabaseId && list_member_oid(pacer.relations, vacuum.relation))
            return Hold{psprintf("pause_for_vacuum: a vacuum prevents wraparound in table %u", vacuum.relation),
                        signal_look_ms};
    }
    return nothing;
}

bool counts(const shared::Standby &standby, const List *names) {
    ListCell *cell;
    foreach (cell, names) {
        const char *name = static_cast<const char *>(lfirst(cell));
        if (strcmp(name, "*") == 0 || pg_strcasecmp(name, standby.name) == 0) return true;
    }
    return false;
}

// The first name that stands for no standby that says how far it is; nullptr if there is none.
const char *missing_standby(const List *names, const shared::Signals &signals) {
    ListCell *cell;
    foreach (cell, names) {
        const char *name = static_cast<const char *>(lfirst(cell));
        bool found = strcmp(name, "*") == 0;
        for (int i = 0; i < signals.nstandbys && !found; i++)
            found = pg_strcasecmp(name, signals.standbys[i].name) == 0 && signals.standbys[i].lag_ms >= 0;
        if (!found) return name;
    }
    return nullptr;
}

Hold check_replication(Pacer *pacer, const Settings &settings, const shared::Signals &signals) {
    if (settings.max_replication_lag == 0) return nothing;
    if (is_lost(*pacer, signals.replication_read_at)) return hold_for_lost("max_replication_lag", "the lag");
    List *names = NIL;
    (void)SplitIdentifierString(pstrdup(settings.lag_standbys), ',', &names);
    const char *missing = missing_standby(names, signals);
    if (missing == nullptr) pacer->standbys_seen_at = pg::now();
    if (is_lost(*pacer, pacer->standbys_seen_at))
        return Hold{psprintf("max_replication_lag: standby \"%s\" was not there for %g s",
                             missing == nullptr ? "" : missing, core::signal_lost_ms / 1000),
                    signal_look_ms};
    for (int i = 0; i < signals.nstandbys; i++) {
        const shared::Standby &standby = signals.standbys[i];
        if (standby.lag_ms > settings.max_replication_lag && counts(standby, names))
            return Hold{psprintf("max_replication_lag: standby \"%s\" is %.1f s behind, limit %.1f s", standby.name,
                                 static_cast<double>(standby.lag_ms) / 1000, settings.max_replication_lag / 1000.0),
                        signal_look_ms};
    }
    return nothing;
}

Hold check_archive(const Pacer &pacer, const Settings &settings, const shared::Signals &signals) {
    if (settings.max_archive_backlog == 0) return nothing;
    if (is_lost(pacer, signals.archive_read_at)) return hold_for_lost("max_archive_backlog", "the backlog");
    if (signals.archive_backlog_mb <= settings.max_archive_backlog) return nothing;
    return Hold{psprintf("max_archive_backlog: %lld MB wait to be archived, limit %d MB",
                         static_cast<long long>(signals.archive_backlog_mb), settings.max_archive_backlog),
                signal_look_ms};
}

Hold check_backends(const Pacer &pacer, const Settings &settings, const shared::Signals &signals) {
    if (settings.max_active_backends == 0) return nothing;
    if (is_lost(pacer, signals.activity_read_at)) return hold_for_lost("max_active_backends", "their number");
    if (signals.active_backends <= settings.max_active_backends) return nothing;
    return Hold{
        psprintf("max_active_backends: %d are active, limit %d", signals.active_backends, settings.max_active_backends),
        signal_look_ms};
}

Hold check_signals(Pacer *pacer, const Settings &settings) {
    const shared::Signals signals = shared::read_signals();
    if (const Hold hold = check_vacuum(*pacer, settings, signals); hold.reason != nullptr) return hold;
    if (const Hold hold = check_replication(pacer, settings, signals); hold.reason != nullptr) return hold;
    if (const Hold hold = check_archive(*pacer, settings, signals); hold.reason != nullptr) return hold;
    return check_backends(*pacer, settings, signals);
}

Hold check_query(Pacer *pacer, const Settings &settings) {
    if (settings.throttle_query[0] == '\0') return nothing;
    if (shared::claim_query(pacer->job)) {
        double value = 0;
        const int sqlstate =
            run_throttle_query(settings.throttle_query, settings.throttle_query_timeout, pacer->memory, &value);
        shared::set_answer(pacer->job, sqlstate, value);
    }
    const shared::QueryAnswer answer = shared::answer_of(pacer->job);
    if (is_lost(*pacer, answer.read_at))
        return Hold{psprintf("throttle_query: it could not be read for %g s, SQLSTATE %s", core::signal_lost_ms / 1000,
                             unpack_sql_state(answer.sqlstate)),
                    signal_look_ms};
    // At the beginning of a run there is no answer of now yet, but for that of another worker, who asks.
    if (answer.runs && pg::now() - answer.read_at > 2 * USECS_PER_SEC)
        return Hold{"throttle_query: it is being read", query_look_ms};
    if (answer.read_at == 0 || !(answer.value > 0)) return nothing;
    return Hold{psprintf("throttle_query: it returned %g, limit 0", answer.value), signal_look_ms};
}

Hold check_rates(Pacer *pacer, const Settings &settings) {
    const double rows_ms = shared::wait_for_rows(pacer->job, settings.max_rows_per_second);
    if (rows_ms > 0)
        return hold_for(
            psprintf("max_rows_per_second: next chunk in %.0f ms, limit %d", rows_ms, settings.max_rows_per_second),
            rows_ms);
    const double wal_ms = shared::wait_for_wal(pacer->job, settings.max_wal_bytes_per_second);
    if (wal_ms <= 0) return nothing;
    return hold_for(psprintf("max_wal_bytes_per_second: next chunk in %.0f ms, limit %d", wal_ms,
                             settings.max_wal_bytes_per_second),
                    wal_ms);
}

Hold check_nice(const Pacer &pacer, const Settings &settings) {
    if (pacer.chunk_ended_at == 0) return nothing;
    const double passed_ms = static_cast<double>(GetCurrentTimestamp() - pacer.chunk_ended_at) / 1000;
    const double left_ms = core::nice_ms(settings.nice, pacer.chunk_ms) - Max(0.0, passed_ms);
    if (left_ms <= 0) return nothing;
    return hold_for(psprintf("nice: next chunk in %.0f ms, the last took %.0f ms", left_ms, pacer.chunk_ms), left_ms);
}

// Sets rows aside out of the run's budget.  The scheduler pauses the job once they are done.
Hold check_budget(Pacer *pacer, const Settings &settings, int64 wanted, int64 *granted) {
    const int64 rows = core::rate_chunk_rows(wanted, settings.max_rows_per_second);
    *granted = shared::reserve_rows(pacer->job, pacer->slot, rows, settings.max_rows);
    if (*granted > 0) return nothing;
    return Hold{psprintf("max_rows: all are done or in work, limit %d", settings.max_rows), signal_look_ms};
}

} // namespace

void begin(Pacer *pacer, const catalog::Job &job, shared::WorkerSlot *slot, MemoryContext memory) {
    pacer->slot = slot;
    pacer->job = shared::pace_of(MyDatabaseId, job.job_id);
    pacer->memory = AllocSetContextCreate(memory, "pg_stride pace", ALLOCSET_SMALL_SIZES);
    pacer->started_at = pg::now();
    pacer->wal_counted = pgWalUsage.wal_bytes;
}

void watch(Pacer *pacer, const List *tables) {
    MemoryContext previous = MemoryContextSwitchTo(MemoryContextGetParent(pacer->memory));
    list_free(pacer->relations);
    pacer->relations = NIL;
    ListCell *cell;
    foreach (cell, tables) {
        HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(cell)));
        if (!HeapTupleIsValid(tuple)) continue;
        const Oid toast = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->reltoastrelid;
        ReleaseSysCache(tuple);
        pacer->relations = lappend_oid(pacer->relations, lfirst_oid(cell));
        if (OidIsValid(toast)) pacer->relations = lappend_oid(pacer->relations, toast);
    }
    MemoryContextSwitchTo(previous);
}

Hold look(Pacer *pacer, const settings::Settings &settings, int64 wanted, int64 *granted) {
    MemoryContextReset(pacer->memory);
    MemoryContext previous = MemoryContextSwitchTo(pacer->memory);
    Hold hold = settings::enabled ? nothing : Hold{"stride.enabled is off", switch_look_ms};
    if (hold.reason == nullptr) hold = check_window(*pacer, settings);
    if (hold.reason == nullptr) hold = check_signals(pacer, settings);
    if (hold.reason == nullptr) hold = check_query(pacer, settings);
    if (hold.reason == nullptr) hold = check_rates(pacer, settings);
    if (hold.reason == nullptr) hold = check_nice(*pacer, settings);
    if (hold.reason == nullptr) hold = check_budget(pacer, settings, wanted, granted);
    MemoryContextSwitchTo(previous);
    return hold;
}

void count_chunk(Pacer *pacer, const settings::Settings &settings, int64 rows, double work_ms) {
    shared::commit_rows(pacer->job, pacer->slot, rows);
    shared::owe(pacer->job, settings.max_rows_per_second, static_cast<double>(rows), settings.max_wal_bytes_per_second,
                static_cast<double>(pgWalUsage.wal_bytes - pacer->wal_counted));
    pacer->wal_counted = pgWalUsage.wal_bytes;
    pacer->chunk_ended_at = GetCurrentTimestamp();
    pacer->chunk_ms = work_ms;
}

void give_up_chunk(Pacer *pacer) {
    shared::commit_rows(pacer->job, pacer->slot, 0);
}

} // namespace stride::pace
