// Worker slots.
// Regime: pg.  The lock is held for scans of the slot array only; signals are sent under it so that the pid is still
// the worker's (a worker clears its pid under the lock before it exits).
#include "shared/worker_slots.hpp"

#include <csignal>

#include "pg/clock.hpp"

namespace stride::shared {
namespace {

constexpr int64 usecs_per_second = 1000000;

// This process's own waits, as set_waiting_for() tells of them.
struct OwnWait {
    bool waits;
    instr_time since;
    double waited_ms;
};
constinit OwnWait own_wait = {};

bool is_of(const WorkerSlot &slot, Oid database, int64 job_id) {
    return slot.use != SlotUse::free && slot.database == database && slot.job_id == job_id;
}

void clear(WorkerSlot &slot) {
    slot.use = SlotUse::free;
    slot.database = InvalidOid;
    slot.owner = InvalidOid;
    slot.job_id = 0;
    slot.task = Task::chunks;
    slot.worker = 0;
    slot.cookie = 0;
    slot.scheduler_pid = 0;
    slot.pid = 0;
    slot.heartbeat = false;
    slot.source_held = false;
    slot.latch = nullptr;
    slot.waiting_for[0] = '\0';
    slot.stream = DSM_HANDLE_INVALID;
    slot.reserved_rows = 0;
    pg_atomic_write_u32(&slot.stop, static_cast<uint32>(Stop::none));
    pg_atomic_write_u32(&slot.altered, 0);
    pg_atomic_write_u32(&slot.phase, static_cast<uint32>(Phase::starting));
    pg_atomic_write_u32(&slot.split, 0);
    pg_atomic_write_u32(&slot.chunk, 0);
    pg_atomic_write_u64(&slot.rows_done, 0);
    pg_atomic_write_u64(&slot.chunk_rows, 0);
    pg_atomic_write_u64(&slot.since, 0);
    memset(slot.rate, 0, sizeof(slot.rate));
}

int64 random_cookie() {
    int64 cookie = 0;
    if (!pg_strong_random(&cookie, sizeof(cookie)))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random worker cookie")));
    return cookie == 0 ? 1 : cookie;
}

// The lowest worker number that no slot of the job has.
int free_worker_number(Oid database, int64 job_id) {
    for (int number = 1;; number++) {
        bool used = false;
        for (int i = 0; i < area->nworkers; i++)
            used = used || (is_of(area->workers[i], database, job_id) && area->workers[i].worker == number);
        if (!used) return number;
    }
}

// The slot's bucket for a second; what it held of an older one is dropped.
RateBucket &bucket_of(WorkerSlot *slot, int64 second) {
    RateBucket &bucket = slot->rate[second % rate_seconds];
    if (bucket.second != second) bucket = RateBucket{second, 0, 0};
    return bucket;
}

// Rows a second over the last whole seconds that the worker ran, throttled time left out; -1 if too little of it is
// left.
double rate_of(const WorkerSlot &slot, int64 second) {
    constexpr double least_active_ms = 100;
    int64 rows = 0;
    int64 oldest = second;
    double waited_ms = 0;
    for (const RateBucket &bucket : slot.rate) {
        if (bucket.second >= second || bucket.second < second - (rate_seconds - 1)) continue;
        rows += bucket.rows;
        waited_ms += bucket.waited_ms;
        oldest = Min(oldest, bucket.second);
    }
    const double active_ms = static_cast<double>(second - oldest) * 1000 - waited_ms;
    return active_ms < least_active_ms ? -1 : static_cast<double>(rows) * 1000 / active_ms;
}

struct Taken {
    int all;
    int of_job;
    int of_role;
};

// The slots in use; under the lock.
Taken count_taken(Oid database, Oid owner, int64 job_id) {
    Taken taken = {};
    for (int i = 0; i < area->nworkers; i++) {
        const WorkerSlot &slot = area->workers[i];
        if (slot.use == SlotUse::free) continue;
        taken.all++;
        taken.of_job += is_of(slot, database, job_id) ? 1 : 0;
        taken.of_role += slot.owner == owner ? 1 : 0;
    }
    return taken;
}

} // namespace

Take take_slot(Oid database, Oid owner, int64 job_id, Task task, const Caps &caps, int *index, int64 *cookie,
               int32 *worker) {
    const int64 fresh_cookie = random_cookie();
    int spare = -1;
    Take result = Take::taken;

    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (int i = 0; i < area->nworkers; i++) {
        const WorkerSlot &slot = area->workers[i];
        if (spare < 0 && slot.use == SlotUse::free) spare = i;
    }
    const Taken taken = count_taken(database, owner, job_id);
    if (spare < 0 || taken.all >= caps.cluster) {
        result = Take::cluster_full;
    } else if (taken.of_job >= caps.per_job) {
        result = Take::job_full;
    } else if (taken.of_role >= caps.per_role) {
        result = Take::role_full;
    } else {
        WorkerSlot &slot = area->workers[spare];
        const int number = task == Task::keeper ? 0 : free_worker_number(database, job_id);
        clear(slot);
        slot.use = SlotUse::starting;
        slot.database = database;
        slot.owner = owner;
        slot.job_id = job_id;
        slot.task = task;
        slot.worker = number;
        slot.cookie = fresh_cookie;
        slot.scheduler_pid = MyProcPid;
        *index = spare;
        *cookie = fresh_cookie;
        *worker = number;
    }
    LWLockRelease(area->lock);
    return result;
}

void release_slot(int index, int64 cookie) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    WorkerSlot &slot = area->workers[index];
    if (slot.use == SlotUse::starting && slot.cookie == cookie) clear(slot);
    LWLockRelease(area->lock);
}

WorkerSlot *attach_slot(int index, int64 cookie) {
    WorkerSlot *mine = nullptr;
    if (index < 0 || index >= area->nworkers) return nullptr;
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    WorkerSlot &slot = area->workers[index];
    if (slot.use == SlotUse::starting && slot.cookie == cookie) {
        slot.use = SlotUse::attached;
        slot.pid = MyProcPid;
        slot.latch = MyLatch;
        mine = &slot;
    }
    LWLockRelease(area->lock);
    return mine;
}

void heartbeat(WorkerSlot *slot) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    slot->heartbeat = true;
    LWLockRelease(area->lock);
}

void detach_slot(WorkerSlot *slot) noexcept {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    const Oid database = slot->database;
    if (slot->pid == MyProcPid) {
        if (slot->heartbeat) {
            clear(*slot);
        } else {
            slot->use = SlotUse::failed;
            slot->pid = 0;
            slot->latch = nullptr;
        }
        for (const DatabaseSlot &scheduled : area->databases)
            if (scheduled.database == database && scheduled.scheduler_latch != nullptr)
                SetLatch(scheduled.scheduler_latch);
    }
    LWLockRelease(area->lock);
}

void set_phase(WorkerSlot *slot, Phase phase) {
    pg_atomic_write_u32(&slot->phase, static_cast<uint32>(phase));
    pg_atomic_write_u64(&slot->since, static_cast<uint64>(GetCurrentTimestamp()));
}

void set_waiting_for(WorkerSlot *slot, const char *reason) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    strlcpy(slot->waiting_for, reason == nullptr ? "" : reason, sizeof(slot->waiting_for));
    LWLockRelease(area->lock);
    const bool waits = reason != nullptr;
    if (waits && !own_wait.waits) own_wait.since = pg::start_clock();
    if (!waits && own_wait.waits) own_wait.waited_ms += pg::milliseconds_since(own_wait.since);
    own_wait.waits = waits;
}

double take_waited_ms() {
    const double waited = own_wait.waited_ms;
    own_wait.waited_ms = 0;
    return waited;
}

void count_rows(WorkerSlot *slot, int64 rows, TimestampTz now) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    bucket_of(slot, now / usecs_per_second).rows += rows;
    LWLockRelease(area->lock);
    pg_atomic_fetch_add_u64(&slot->rows_done, rows);
}

void count_wait(WorkerSlot *slot, TimestampTz from, TimestampTz to) {
    // A wait that is longer than the window fills all of it.
    from = Max(from, to - rate_seconds * usecs_per_second);
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    while (from < to) {
        const int64 second = from / usecs_per_second;
        const TimestampTz end = Min(to, (second + 1) * usecs_per_second);
        bucket_of(slot, second).waited_ms += static_cast<double>(end - from) / 1000;
        from = end;
    }
    LWLockRelease(area->lock);
}

Stop wanted_stop(WorkerSlot *slot) {
    return static_cast<Stop>(pg_atomic_read_u32(&slot->stop));
}

bool take_altered(WorkerSlot *slot) {
    return pg_atomic_exchange_u32(&slot->altered, 0) != 0;
}

void publish_stream(WorkerSlot *slot, dsm_handle stream) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    slot->stream = stream;
    LWLockRelease(area->lock);
}

dsm_handle find_stream(Oid database, int64 job_id) {
    dsm_handle found = DSM_HANDLE_INVALID;
    LWLockAcquire(area->lock, LW_SHARED);
    for (int i = 0; i < area->nworkers; i++)
        if (is_of(area->workers[i], database, job_id) && area->workers[i].stream != DSM_HANDLE_INVALID)
            found = area->workers[i].stream;
    LWLockRelease(area->lock);
    return found;
}

void set_source_held(WorkerSlot *slot, bool held) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    slot->source_held = held;
    LWLockRelease(area->lock);
}

int64 keeper_of(Oid database, int64 job_id) {
    int64 cookie = 0;
    LWLockAcquire(area->lock, LW_SHARED);
    for (int i = 0; i < area->nworkers; i++)
        if (is_of(area->workers[i], database, job_id) && area->workers[i].source_held) cookie = area->workers[i].cookie;
    LWLockRelease(area->lock);
    return cookie;
}

int count_workers(Oid database, int64 job_id) {
    int count = 0;
    for (const Task task : {Task::chunks, Task::indexes, Task::reader})
        count += count_workers(database, job_id, task);
    return count;
}

int count_workers(Oid database, int64 job_id, Task task) {
    int count = 0;
    LWLockAcquire(area->lock, LW_SHARED);
    for (int i = 0; i < area->nworkers; i++) {
        const WorkerSlot &slot = area->workers[i];
        count += (is_of(slot, database, job_id) && slot.task == task && slot.use != SlotUse::failed) ? 1 : 0;
    }
    LWLockRelease(area->lock);
    return count;
}

int count_spare(Oid database, Oid owner, int64 job_id, const Caps &caps) {
    LWLockAcquire(area->lock, LW_SHARED);
    const Taken taken = count_taken(database, owner, job_id);
    LWLockRelease(area->lock);
    const int spare = Min(Min(area->nworkers, caps.cluster) - taken.all,
                          Min(caps.per_job - taken.of_job, caps.per_role - taken.of_role));
    return Max(0, spare);
}

ProcessesView view_processes(Oid database, int64 job_id) {
    ProcessesView view = {};
    LWLockAcquire(area->lock, LW_SHARED);
    for (int i = 0; i < area->nworkers && view.count < max_processes_seen; i++) {
        WorkerSlot &slot = area->workers[i];
        if (!is_of(slot, database, job_id) || slot.task != Task::chunks) continue;
        if (slot.use != SlotUse::attached || !slot.heartbeat) continue;
        const Phase phase = static_cast<Phase>(pg_atomic_read_u32(&slot.phase));
        if (phase == Phase::starting || phase == Phase::planning || phase == Phase::spooling) continue;
        view.pids[view.count] = slot.pid;
        view.throttled[view.count++] = phase == Phase::waiting;
    }
    LWLockRelease(area->lock);
    return view;
}

void ask_stop(Oid database, int64 job_id, Task task, Stop stop) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (int i = 0; i < area->nworkers; i++) {
        WorkerSlot &slot = area->workers[i];
        if (!is_of(slot, database, job_id) || slot.task != task || slot.use == SlotUse::failed) continue;
        pg_atomic_write_u32(&slot.stop, static_cast<uint32>(stop));
        if (slot.use != SlotUse::attached) continue;
        if (stop == Stop::now) (void)kill(slot.pid, SIGTERM);
        if (slot.latch != nullptr) SetLatch(slot.latch);
    }
    LWLockRelease(area->lock);
}

void ask_surplus_stop(Oid database, int64 job_id, int keep) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (int i = 0; i < area->nworkers; i++) {
        WorkerSlot &slot = area->workers[i];
        if (!is_of(slot, database, job_id) || slot.worker <= keep) continue; // a keeper has number 0
        pg_atomic_write_u32(&slot.stop, static_cast<uint32>(Stop::at_chunk_end));
        if (slot.latch != nullptr) SetLatch(slot.latch);
    }
    LWLockRelease(area->lock);
}

void tell_altered(Oid database, int64 job_id) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (int i = 0; i < area->nworkers; i++) {
        WorkerSlot &slot = area->workers[i];
        if (!is_of(slot, database, job_id)) continue;
        pg_atomic_write_u32(&slot.altered, 1);
        if (slot.latch != nullptr) SetLatch(slot.latch);
    }
    LWLockRelease(area->lock);
}

bool has_heartbeat(Oid database, int64 job_id) {
    bool found = false;
    LWLockAcquire(area->lock, LW_SHARED);
    for (int i = 0; i < area->nworkers; i++)
        found = found || (is_of(area->workers[i], database, job_id) && area->workers[i].heartbeat);
    LWLockRelease(area->lock);
    return found;
}

int take_failed_starts(Oid database, int64 job_id) {
    int count = 0;
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (int i = 0; i < area->nworkers; i++) {
        WorkerSlot &slot = area->workers[i];
        if (!is_of(slot, database, job_id) || slot.use != SlotUse::failed) continue;
        clear(slot);
        count++;
    }
    LWLockRelease(area->lock);
    return count;
}

void release_orphans(Oid database) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (int i = 0; i < area->nworkers; i++) {
        WorkerSlot &slot = area->workers[i];
        if (slot.use == SlotUse::starting && slot.database == database && slot.scheduler_pid != MyProcPid) clear(slot);
    }
    LWLockRelease(area->lock);
}

void release_failed_of_idle_databases() {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (int i = 0; i < area->nworkers; i++) {
        WorkerSlot &slot = area->workers[i];
        if (slot.use != SlotUse::failed && slot.use != SlotUse::starting) continue;
        bool scheduled = false;
        for (const DatabaseSlot &database : area->databases)
            scheduled = scheduled || (database.database == slot.database && database.scheduler_pid != 0);
        if (!scheduled) clear(slot);
    }
    LWLockRelease(area->lock);
}

bool is_live(int64 cookie) {
    bool found = false;
    LWLockAcquire(area->lock, LW_SHARED);
    for (int i = 0; i < area->nworkers && !found; i++)
        found = area->workers[i].use == SlotUse::attached && area->workers[i].cookie == cookie;
    LWLockRelease(area->lock);
    return found;
}

bool view_worker(int index, TimestampTz now, WorkerView *view) {
    const int64 second = now / usecs_per_second;
    LWLockAcquire(area->lock, LW_SHARED);
    const WorkerSlot slot = area->workers[index];
    LWLockRelease(area->lock);
    if (slot.use != SlotUse::attached) return false;

    *view = WorkerView{};
    view->database = slot.database;
    view->owner = slot.owner;
    view->job_id = slot.job_id;
    view->worker = slot.worker;
    view->pid = slot.pid;
    view->phase = static_cast<Phase>(slot.phase.value);
    view->split = slot.split.value;
    view->chunk = slot.chunk.value;
    view->rows_done = static_cast<int64>(slot.rows_done.value);
    view->chunk_rows = static_cast<int64>(slot.chunk_rows.value);
    view->since = static_cast<TimestampTz>(slot.since.value);
    strlcpy(view->waiting_for, slot.waiting_for, sizeof(view->waiting_for));
    view->rows_per_second = rate_of(slot, second);
    return true;
}

} // namespace stride::shared
