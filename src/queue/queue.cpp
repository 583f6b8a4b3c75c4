// The queue.
// Regime: pg.  Catalog reads and writes of the scheduler's own; never waits for a lock of a user.
#include "queue/queue.hpp"

#include <unistd.h>

#include "settings/settings.hpp"
#include "catalog/split.hpp"
#include "queue/admission.hpp"
#include "pg/background.hpp"
#include "queue/rebind.hpp"
#include "queue/transition.hpp"
#include "shared/worker_order.hpp"
#include "shared/worker_slots.hpp"

namespace stride::queue {
namespace {

using catalog::Job;
using core::JobState;

constexpr catalog::Actor ourselves = {nullptr, nullptr};
constexpr int failed_starts_to_hold = 3;
constexpr int64 spare_start_pause_us = 2000000;

int wanted_workers(const Job &job) {
    if (job.workers > 0) return job.workers;
    return Max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

const char *full_reason(shared::Take take) {
    switch (take) {
    case shared::Take::cluster_full:
        return psprintf("no free worker: stride.max_workers is %d", settings::max_workers);
    case shared::Take::job_full:
        return psprintf("stride.max_workers_per_job is %d", settings::max_workers_per_job);
    case shared::Take::role_full:
        return psprintf("stride.max_workers_per_role is %d", settings::max_workers_per_role);
    case shared::Take::taken:
        break;
    }
    return nullptr;
}

// Starts one worker; nullptr on success, else why not.
const char *start_worker(Queue *queue, const Job &job) {
    shared::WorkerOrder order = {};
    const shared::Caps caps = {settings::max_workers, settings::max_workers_per_job, settings::max_workers_per_role};
    int slot;
    const shared::Take take =
        shared::take_slot(MyDatabaseId, job.owner, job.job_id, caps, &slot, &order.cookie, &order.worker);
    if (take != shared::Take::taken) return full_reason(take);
    order.database = MyDatabaseId;
    order.owner = job.owner;
    order.job_id = job.job_id;
    order.slot = slot;

    char *name = psprintf("pg_stride worker %d of job %lld", order.worker, static_cast<long long>(job.job_id));
    BackgroundWorker worker = pg::describe_worker("pg_stride worker", name, "stride_worker_main");
    worker.bgw_notify_pid = MyProcPid;
    memcpy(worker.bgw_extra, &order, sizeof(order));
    MemoryContext previous = MemoryContextSwitchTo(queue->memory);
    StartedWorker *started = static_cast<StartedWorker *>(palloc(sizeof(StartedWorker)));
    *started = StartedWorker{nullptr, slot, order.cookie};
    const bool registered = RegisterDynamicBackgroundWorker(&worker, &started->handle);
    if (registered) queue->started = lappend(queue->started, started);
    MemoryContextSwitchTo(previous);
    if (registered) return nullptr;
    pfree(started);
    shared::release_slot(slot, order.cookie);
    return "no free worker: max_worker_processes is used up";
}

bool may_start_spare(Queue *queue) {
    const TimestampTz now = GetCurrentTimestamp();
    if (now < queue->next_spare_start) return false;
    queue->next_spare_start = now + spare_start_pause_us;
    return true;
}

// Tops a job's workers up; *reason says why there are fewer than wanted.
int top_up(Queue *queue, const Job &job, const catalog::SplitCounts &counts, const char **reason) {
    int running = shared::count_workers(MyDatabaseId, job.job_id);
    const bool planned = counts.all > 0;
    int64 useful = planned ? counts.claimable : (running == 0 ? 1 : 0);
    if (planned && useful == 0 && counts.halvable > 0 && running < wanted_workers(job) && may_start_spare(queue))
        useful = 1;
    while (running < wanted_workers(job) && useful-- > 0) {
        *reason = start_worker(queue, job);
        if (*reason != nullptr) break;
        running++;
    }
    return running;
}

long advance_queued(Queue *queue, Job *job) {
    if (const char *moved = moved_reason(job)) {
        hold_job(job, moved);
        return -1;
    }
    const Admission admission = admit(*job);
    if (admission.hold != nullptr) {
        hold_job(job, admission.hold);
        return -1;
    }
    if (admission.wait != nullptr) {
        catalog::set_reason(job->job_id, admission.wait);
        return admission.wait_ms;
    }
    const char *reason = nullptr;
    const catalog::SplitCounts counts = catalog::count_splits(job->job_id);
    const bool finished = counts.all > 0 && counts.done == counts.all;
    if (!finished && top_up(queue, *job, counts, &reason) == 0) {
        catalog::set_reason(job->job_id, reason);
        return slotless_wait_ms;
    }
    move_job(job, JobState::running, ourselves, "start", nullptr);
    return finished ? 0 : active_wait_ms;
}

// What the workers' failures ask for; true when the job was moved.
bool obey_failures(Job *job) {
    char *message = nullptr;
    const char *policy = catalog::newest_failure_policy(job->job_id, job->attempt, &message);
    if (policy == nullptr) return false;
    if (strcmp(policy, "fail") == 0)
        move_job(job, JobState::failing, ourselves, "fail", message);
    else
        hold_job(job, message);
    return true;
}

bool hold_after_failed_starts(Job *job) {
    const int failed = shared::take_failed_starts(MyDatabaseId, job->job_id);
    if (failed == 0) {
        if (job->failed_starts > 0 && shared::has_heartbeat(MyDatabaseId, job->job_id))
            catalog::set_failed_starts(job->job_id, 0);
        return false;
    }
    catalog::set_failed_starts(job->job_id, job->failed_starts + failed);
    if (job->failed_starts + failed < failed_starts_to_hold) return false;
    hold_job(job, psprintf("%d workers ended before they could begin; the server log says why",
                           job->failed_starts + failed));
    return true;
}

long advance_running(Queue *queue, Job *job) {
    if (const char *moved = moved_reason(job)) {
        hold_job(job, moved);
        return 0;
    }
    if (obey_failures(job) || hold_after_failed_starts(job)) return 0;
    const catalog::SplitCounts counts = catalog::count_splits(job->job_id);
    if (counts.all > 0 && counts.done == counts.all) {
        if (!catalog::raise_epochs(job->job_id)) return slotless_wait_ms;
        move_job(job, counts.rejected > 0 ? JobState::succeeded_with_rejects : JobState::succeeded, ourselves, "finish",
                 nullptr);
        return -1;
    }
    const Admission admission = admit(*job);
    if (admission.hold != nullptr && shared::count_workers(MyDatabaseId, job->job_id) == 0) {
        hold_job(job, admission.hold);
        return 0;
    }
    const char *reason = nullptr;
    if (admission.wait == nullptr && admission.hold == nullptr) (void)top_up(queue, *job, counts, &reason);
    catalog::set_reason(job->job_id, admission.wait != nullptr ? admission.wait : reason);
    return reason == nullptr ? active_wait_ms : slotless_wait_ms;
}

// States that end when the last worker has gone and no chunk in flight can commit any more.
long advance_ending(Job *job, shared::Stop stop, JobState to, const char *event) {
    (void)shared::take_failed_starts(MyDatabaseId, job->job_id);
    shared::ask_stop(MyDatabaseId, job->job_id, stop);
    if (shared::count_workers(MyDatabaseId, job->job_id) > 0) return slotless_wait_ms;
    if (!catalog::raise_epochs(job->job_id)) return slotless_wait_ms;
    move_job(job, to, ourselves, event, job->state_reason);
    return to == JobState::paused ? 0 : -1;
}

} // namespace

long advance_job(Queue *queue, Job *job) {
    switch (job->state) {
    case JobState::queued:
        return advance_queued(queue, job);
    case JobState::running:
        return advance_running(queue, job);
    case JobState::pausing:
        return advance_ending(job, shared::Stop::at_chunk_end, JobState::paused, "paused");
    case JobState::failing:
        return advance_ending(job, shared::Stop::at_chunk_end, JobState::failed, "failed");
    case JobState::cancelling:
        return advance_ending(job, shared::Stop::now, JobState::cancelled, "cancelled");
    default:
        return -1;
    }
}

void reap_unstarted(Queue *queue) {
    ListCell *cell;
    foreach (cell, queue->started) {
        StartedWorker *started = static_cast<StartedWorker *>(lfirst(cell));
        pid_t pid;
        const BgwHandleStatus status = GetBackgroundWorkerPid(started->handle, &pid);
        if (status == BGWH_NOT_YET_STARTED || status == BGWH_STARTED) continue;
        shared::release_slot(started->slot, started->cookie);
        pfree(started->handle);
        pfree(started);
        queue->started = foreach_delete_current(queue->started, cell);
    }
}

} // namespace stride::queue
