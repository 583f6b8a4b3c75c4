// The extension's fixed shared memory: worker slots, wake-ups of databases, cancel flags of dying callers.
// Regime: pg.  One LWLock ("pg_stride") guards everything but the atomics; it is never held across palloc or ereport.
// Nothing here outlives a crash of the cluster: all of it is rebuilt from the catalog (reliability R14).
#pragma once

#include "core/pacing.hpp"
#include "shared/signals.hpp"
#include "pg/pg.hpp"

namespace stride::shared {

constexpr int max_databases = 128;
constexpr int max_cancel_flags = 64;
constexpr int rate_seconds = 11; // ten whole seconds and the one that is running
constexpr int reason_bytes = 128;

// What the scheduler wants of a worker.  Written by the scheduler, read by the worker between chunks.
enum class Stop : uint32 { none, at_chunk_end, now };

// What a worker is started for.
enum class Task : uint32 { chunks, indexes, reader, keeper };

// Where a worker is.  Written by the worker without the lock: a reader may see it a moment late.
enum class Phase : uint32 {
    starting,
    planning,
    spooling, // saves the rows of a query
    streaming,
    claiming,
    fencing,
    reading,
    writing,
    checkpointing,
    committing,
    waiting,
    keeping, // holds the lock of a walk by blocks
    rebuilding
};
const char *phase_name(Phase phase);

enum class SlotUse : uint32 {
    free,
    starting, // taken by a scheduler, its worker has not attached yet
    attached, // the worker runs
    failed    // the worker ended before its first heartbeat; the scheduler takes note and frees it
};

// Rows committed in one second, and how much of it was throttled.  Written by the slot's worker.
struct RateBucket {
    int64 second; // seconds since the PostgreSQL epoch
    int64 rows;
    double waited_ms;
};

struct WorkerSlot {
    // Guarded by the lock; set by the scheduler, freed by the worker's exit (or the scheduler, see SlotUse).
    SlotUse use;
    Oid database;
    Oid owner;
    int64 job_id;
    Task task;
    int32 worker;      // number within the job, from 1; a keeper has 0
    int64 cookie;      // random: tells this worker from any other, ever
    int scheduler_pid; // who took the slot
    // Guarded by the lock; set by the worker.
    int pid;
    bool heartbeat;   // the worker has connected and loaded its job
    bool source_held; // a keeper has its lock, and nobody wrote since the job was planned
    Latch *latch;
    char waiting_for[reason_bytes];
    dsm_handle stream;   // of a reader, DSM_HANDLE_INVALID = not open
    int64 reserved_rows; // of the chunk that runs, out of the run's budget
    // Atomics: stop by the scheduler, the others by the worker.
    pg_atomic_uint32 stop;
    pg_atomic_uint32 altered; // raised by the scheduler when the job's settings have changed
    pg_atomic_uint32 phase;
    pg_atomic_uint32 split;
    pg_atomic_uint32 chunk;
    pg_atomic_uint64 rows_done;
    pg_atomic_uint64 chunk_rows;
    pg_atomic_uint64 since;        // TimestampTz
    RateBucket rate[rate_seconds]; // written by the worker under the lock
};

// The pace of one job, see shared/job_pace.hpp.  Guarded by the lock.
struct JobPace {
    Oid database;
    int64 job_id; // 0 = free
    // Written by the job's workers.
    core::RateDebt rows;
    core::RateDebt wal;
    int64 rows_done; // in this run; its first value is the scheduler's
    int64 chunks_done;
    TimestampTz query_claimed_at;
    bool query_runs;
    int query_sqlstate; // of the last try, 0 = it was good
    TimestampTz query_read_at;
    double query_value;
    // Written by the scheduler.
    int workers_wanted;
};

struct DatabaseSlot {
    Oid database;      // InvalidOid = free
    uint64 generation; // raised by each wake-up, under the lock
    uint64 handled;    // the generation that a scheduler saw before it found nothing to do
    int scheduler_pid; // 0 = none; set and cleared by the scheduler
    Latch *scheduler_latch;
};

// A caller of run that was cancelled, or died by cancel, asks the scheduler to cancel its job.
struct CancelFlag {
    Oid database; // InvalidOid = free
    int64 job_id;
    Oid session_role;
    Oid role;
};

struct Area {
    LWLock *lock;
    ConditionVariable job_changed; // broadcast by the scheduler after it committed a job's state
    Latch *launcher_latch;         // guarded by the lock; set by the launcher
    bool probe_all;                // guarded by the lock: a wake-up found no database slot
    DatabaseSlot databases[max_databases];
    CancelFlag cancel_flags[max_cancel_flags];
    Signals signals;
    JobPace *paces; // as many as workers, behind them
    int nworkers;   // = max_worker_processes
    WorkerSlot workers[FLEXIBLE_ARRAY_MEMBER];
};

// The area; nullptr when the library was not preloaded.
extern Area *area;

// Chains the request and startup hooks; from _PG_init while shared_preload_libraries are processed.
void install_hooks();

// Raises 55000 with the hint to preload when the area is missing.
void require_preload();

} // namespace stride::shared
