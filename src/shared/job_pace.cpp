// The pace of jobs.
// Regime: pg.
#include "shared/job_pace.hpp"

#include "pg/clock.hpp"

namespace stride::shared {
namespace {

constexpr int64 query_interval_us = 1000000;

double now_ms() {
    return static_cast<double>(GetCurrentTimestamp()) / 1000;
}

bool has_workers(const JobPace &pace) {
    for (int i = 0; i < area->nworkers; i++) {
        const WorkerSlot &slot = area->workers[i];
        if (slot.use != SlotUse::free && slot.database == pace.database && slot.job_id == pace.job_id) return true;
    }
    return false;
}

JobPace *find(Oid database, int64 job_id) {
    for (int i = 0; i < area->nworkers; i++) {
        JobPace *pace = &area->paces[i];
        if (pace->job_id == job_id && pace->database == database) return pace;
    }
    return nullptr;
}

// Under the lock, exclusively.
JobPace *find_or_take(Oid database, int64 job_id) {
    JobPace *pace = find(database, job_id);
    for (int i = 0; pace == nullptr && i < area->nworkers; i++) {
        JobPace *candidate = &area->paces[i];
        if (candidate->job_id != 0 && has_workers(*candidate)) continue;
        pace = candidate;
        *pace = JobPace{};
        pace->database = database;
        pace->job_id = job_id;
    }
    return pace;
}

int64 reserved_by_others(const JobPace &pace, const WorkerSlot *mine) {
    int64 rows = 0;
    for (int i = 0; i < area->nworkers; i++) {
        const WorkerSlot &slot = area->workers[i];
        if (slot.use == SlotUse::free || slot.database != pace.database || slot.job_id != pace.job_id) continue;
        if (&slot != mine) rows += slot.reserved_rows;
    }
    return rows;
}

} // namespace

JobPace *pace_of(Oid database, int64 job_id) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    JobPace *pace = find_or_take(database, job_id);
    LWLockRelease(area->lock);
    if (pace == nullptr) elog(ERROR, "more jobs run than there are worker slots");
    return pace;
}

void set_workers_wanted(Oid database, int64 job_id, int workers) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    JobPace *pace = find_or_take(database, job_id);
    if (pace != nullptr) pace->workers_wanted = workers;
    LWLockRelease(area->lock);
}

int workers_wanted(Oid database, int64 job_id) {
    LWLockAcquire(area->lock, LW_SHARED);
    const JobPace *pace = find(database, job_id);
    const int workers = pace == nullptr ? 0 : pace->workers_wanted;
    LWLockRelease(area->lock);
    return workers;
}

RunView view_run(Oid database, int64 job_id) {
    LWLockAcquire(area->lock, LW_SHARED);
    const JobPace *pace = find(database, job_id);
    const RunView run = pace == nullptr ? RunView{0, 0} : RunView{pace->rows_done, pace->chunks_done};
    LWLockRelease(area->lock);
    return run;
}

void owe(JobPace *pace, double rows_rate, double rows, double wal_rate, double wal_bytes) {
    const double now = now_ms();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    pace->rows.take(now, rows_rate, rows);
    pace->wal.take(now, wal_rate, wal_bytes);
    LWLockRelease(area->lock);
}

double wait_for_rows(JobPace *pace, double rate) {
    const double now = now_ms();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    const double wait_ms = pace->rows.wait_ms(now, rate);
    LWLockRelease(area->lock);
    return wait_ms;
}

double wait_for_wal(JobPace *pace, double rate) {
    const double now = now_ms();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    const double wait_ms = pace->wal.wait_ms(now, rate);
    LWLockRelease(area->lock);
    return wait_ms;
}

void begin_run(Oid database, int64 job_id, int64 rows_done) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    JobPace *pace = find_or_take(database, job_id);
    if (pace != nullptr) pace->rows_done = rows_done;
    LWLockRelease(area->lock);
}

int64 reserve_rows(JobPace *pace, WorkerSlot *slot, int64 rows, int64 most) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    const int64 left = most - pace->rows_done - reserved_by_others(*pace, slot);
    slot->reserved_rows = most > 0 ? Max(static_cast<int64>(0), Min(rows, left)) : rows;
    const int64 reserved = slot->reserved_rows;
    LWLockRelease(area->lock);
    return reserved;
}

void commit_rows(JobPace *pace, WorkerSlot *slot, int64 rows) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    pace->rows_done += rows;
    pace->chunks_done += rows > 0 ? 1 : 0;
    slot->reserved_rows = 0;
    LWLockRelease(area->lock);
}

bool claim_query(JobPace *pace) {
    const TimestampTz now = pg::now();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    const bool due = now >= pace->query_claimed_at + query_interval_us || now < pace->query_claimed_at;
    if (due) {
        pace->query_claimed_at = now;
        pace->query_runs = true;
    }
    LWLockRelease(area->lock);
    return due;
}

void set_answer(JobPace *pace, int sqlstate, double value) {
    const TimestampTz now = pg::now();
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    pace->query_runs = false;
    pace->query_sqlstate = sqlstate;
    if (sqlstate == 0) {
        pace->query_value = value;
        pace->query_read_at = now;
    }
    LWLockRelease(area->lock);
}

QueryAnswer answer_of(JobPace *pace) {
    LWLockAcquire(area->lock, LW_SHARED);
    const QueryAnswer answer = {pace->query_value, pace->query_read_at, pace->query_runs, pace->query_sqlstate};
    LWLockRelease(area->lock);
    return answer;
}

} // namespace stride::shared
