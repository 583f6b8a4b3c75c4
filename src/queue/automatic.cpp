// The number of workers of jobs that choose it by themselves.
// Regime: pg.
#include "core/worker_count.hpp"

#include "queue/automatic.hpp"

#include <unistd.h>

#include "settings/settings.hpp"
#include "shared/job_pace.hpp"

namespace stride::queue {
namespace {

// A job that chooses by itself, in the queue's memory.
struct Automatic {
    int64 job_id;
    bool lasts; // was still at work when it was first looked at
    core::WorkerCount law;
};

// What one worker walks in less time than another needs to start.
constexpr int64 small_rows = 20000;

int cores() {
    return Max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

// What a worker waits for where another worker would not wait as well.
bool is_idle_wait(uint32 wait_event) {
    switch (wait_event & 0xFF000000U) {
    case PG_WAIT_IO:
    case PG_WAIT_IPC:
    case PG_WAIT_TIMEOUT:
    case PG_WAIT_EXTENSION:
    case PG_WAIT_CLIENT:
        return true;
    default:
        return false;
    }
}

Automatic *find(Queue *queue, int64 job_id) {
    ListCell *cell;
    foreach (cell, queue->automatic) {
        Automatic *automatic = static_cast<Automatic *>(lfirst(cell));
        if (automatic->job_id == job_id) return automatic;
    }
    return nullptr;
}

// A scheduler that follows another one goes on from the number that it left.
Automatic *find_or_add(Queue *queue, int64 job_id) {
    Automatic *automatic = find(queue, job_id);
    if (automatic != nullptr) return automatic;
    const int left = shared::workers_wanted(MyDatabaseId, job_id);
    MemoryContext previous = MemoryContextSwitchTo(queue->memory);
    automatic = static_cast<Automatic *>(palloc(sizeof(Automatic)));
    *automatic = Automatic{job_id, left > 0, core::WorkerCount(cores(), left > 0 ? left : cores())};
    queue->automatic = lappend(queue->automatic, automatic);
    MemoryContextSwitchTo(previous);
    return automatic;
}

core::WorkersLook look_at(int64 job_id) {
    core::WorkersLook look = {};
    const shared::ProcessesView processes = shared::view_processes(MyDatabaseId, job_id);
    for (int i = 0; i < processes.count; i++) {
        look.workers++;
        look.throttled = look.throttled || processes.throttled[i];
        const PGPROC *process = BackendPidGetProc(processes.pids[i]);
        if (process != nullptr && is_idle_wait(process->wait_event_info)) look.waiting++;
    }
    const shared::RunView run = shared::view_run(MyDatabaseId, job_id);
    look.now_ms = static_cast<double>(GetCurrentTimestamp()) / 1000;
    look.rows = run.rows;
    look.chunks = run.chunks;
    return look;
}

} // namespace

int automatic_start() {
    return Min(cores(), settings::max_workers_per_job);
}

int automatic_start(Oid owner, double rows) {
    const shared::Caps caps = {settings::max_workers, settings::max_workers_per_job, settings::max_workers_per_role};
    const int spare = shared::count_spare(MyDatabaseId, owner, 0, caps);
    return rows <= small_rows ? 1 : Max(1, Min(automatic_start(), spare));
}

int wanted_workers(Queue *queue, const catalog::Job &job, int64 rows) {
    if (job.workers > 0) return job.workers;
    const shared::Caps caps = {settings::max_workers, settings::max_workers_per_job, settings::max_workers_per_role};
    Automatic *automatic = find_or_add(queue, job.job_id);
    const int running = shared::count_workers(MyDatabaseId, job.job_id);
    // A job that got no worker at all is let in, one place a round.
    const int most = queue->starving && running > 1
                         ? running - 1
                         : running + shared::count_spare(MyDatabaseId, job.owner, job.job_id, caps);
    automatic->law.limit(most);
    const int wanted = rows > small_rows || automatic->lasts ? automatic->law.wanted() : 1;
    shared::set_workers_wanted(MyDatabaseId, job.job_id, wanted);
    return wanted;
}

bool look_at_workers(Queue *queue) {
    bool changed = false;
    ListCell *cell;
    foreach (cell, queue->automatic) {
        Automatic *automatic = static_cast<Automatic *>(lfirst(cell));
        if (shared::count_workers(MyDatabaseId, automatic->job_id) == 0) {
            pfree(automatic);
            queue->automatic = foreach_delete_current(queue->automatic, cell);
            continue;
        }
        const int before = automatic->law.wanted();
        automatic->law.look(look_at(automatic->job_id));
        changed = changed || !automatic->lasts || automatic->law.wanted() != before;
        automatic->lasts = true;
    }
    return changed;
}

} // namespace stride::queue
