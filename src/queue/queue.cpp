// The queue.
// Regime: pg.  Catalog reads and writes of the scheduler's own; never waits for a lock of a user.
#include "queue/queue.hpp"

#include "settings/settings.hpp"
#include "catalog/dropped_index.hpp"
#include "catalog/request.hpp"
#include "catalog/split.hpp"
#include "job/block_walk.hpp"
#include "queue/admission.hpp"
#include "queue/automatic.hpp"
#include "pg/background.hpp"
#include "pg/test_point.hpp"
#include "queue/rebind.hpp"
#include "queue/transition.hpp"
#include "shared/job_pace.hpp"
#include "shared/worker_order.hpp"
#include "shared/worker_slots.hpp"

namespace stride::queue {
namespace {

using catalog::Job;
using core::JobState;

constexpr catalog::Actor ourselves = {nullptr, nullptr};
constexpr int failed_starts_to_hold = 3;
constexpr int64 spare_start_pause_us = 2000000;

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
const char *start_worker(Queue *queue, const Job &job, shared::Task task) {
    shared::WorkerOrder order = {};
    // A reader or keeper without a worker would only hold a place that a worker needs.
    const bool serves = task == shared::Task::reader || task == shared::Task::keeper;
    const int kept = serves && shared::count_workers(MyDatabaseId, job.job_id) == 0 ? 1 : 0;
    const shared::Caps caps = {settings::max_workers - kept, settings::max_workers_per_job - kept,
                               settings::max_workers_per_role - kept};
    int slot;
    const shared::Take take =
        shared::take_slot(MyDatabaseId, job.owner, job.job_id, task, caps, &slot, &order.cookie, &order.worker);
    if (take != shared::Take::taken) return full_reason(take);
    order.task = task;
    order.database = MyDatabaseId;
    order.owner = job.owner;
    order.job_id = job.job_id;
    order.slot = slot;

    const char *type = task == shared::Task::reader   ? "pg_stride reader"
                       : task == shared::Task::keeper ? "pg_stride keeper"
                                                      : "pg_stride worker";
    char *name = psprintf("%s %d of job %lld", type, order.worker, static_cast<long long>(job.job_id));
    BackgroundWorker worker = pg::describe_worker(type, name, "stride_worker_main");
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

// A stream's reader comes first; then its workers, one a split, once it can be joined.  All have gone before the next
// reader.
int top_up_stream(Queue *queue, const Job &job, const catalog::SplitCounts &counts, const char **reason) {
    int running = shared::count_workers(MyDatabaseId, job.job_id, shared::Task::chunks);
    const bool read = shared::count_workers(MyDatabaseId, job.job_id, shared::Task::reader) > 0;
    if (!read && running == 0) *reason = start_worker(queue, job, shared::Task::reader);
    queue->starved = queue->starved || *reason != nullptr;
    if (!read) return running == 0 && *reason != nullptr ? 0 : 1;
    if (shared::find_stream(MyDatabaseId, job.job_id) == DSM_HANDLE_INVALID) return 1;
    for (int64 useful = counts.claimable; useful > 0 && running < counts.all; useful--, running++) {
        *reason = start_worker(queue, job, shared::Task::chunks);
        if (*reason != nullptr) break;
    }
    queue->starved = queue->starved || (running == 0 && *reason != nullptr);
    return running + 1;
}

// Whether the job's keeper has the lock that its chunks need; starts one if there is none.  *reason as of top_up().
bool is_kept(Queue *queue, const Job &job, const char **reason) {
    if (shared::keeper_of(MyDatabaseId, job.job_id) != 0) return true;
    if (shared::count_workers(MyDatabaseId, job.job_id, shared::Task::keeper) == 0)
        *reason = start_worker(queue, job, shared::Task::keeper);
    return false;
}

// Tops a job's workers up; *reason says why there are fewer than wanted.
int top_up(Queue *queue, const Job &job, const catalog::SplitCounts &counts, const char **reason) {
    if (strcmp(job.walk, "stream") == 0) return top_up_stream(queue, job, counts, reason);
    int running = shared::count_workers(MyDatabaseId, job.job_id);
    if (job::walks_blocks(job) && !is_kept(queue, job, reason)) return *reason == nullptr ? Max(1, running) : running;
    const int wanted = wanted_workers(queue, job, counts.rows_estimate);
    const bool planned = counts.all > 0;
    int64 useful = planned ? counts.claimable : (running == 0 ? 1 : 0);
    if (planned && useful == 0 && counts.halvable > 0 && running < wanted && may_start_spare(queue)) useful = 1;
    while (running < wanted && useful-- > 0) {
        *reason = start_worker(queue, job, shared::Task::chunks);
        if (*reason != nullptr) break;
        running++;
    }
    if (running > wanted) shared::ask_surplus_stop(MyDatabaseId, job.job_id, wanted);
    queue->starved = queue->starved || (running == 0 && *reason != nullptr);
    return running;
}

// As many workers as there are indexes to be rebuilt, up to those wanted.
void top_up_rebuild(Queue *queue, const Job &job, const catalog::DroppedIndexCounts &dropped, const char **reason) {
    const int64 useful = Min(static_cast<int64>(wanted_workers(queue, job, PG_INT64_MAX)), dropped.due);
    for (int64 running = shared::count_workers(MyDatabaseId, job.job_id); running < useful; running++) {
        *reason = start_worker(queue, job, shared::Task::indexes);
        if (*reason != nullptr) break;
    }
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
    // Workers that are started here may have walked rows of the run before the job is moved.
    job->run_rows_before = counts.rows_read;
    shared::begin_run(MyDatabaseId, job->job_id, 0);
    if (!finished && top_up(queue, *job, counts, &reason) == 0) {
        catalog::set_reason(job->job_id, reason);
        return slotless_wait_ms;
    }
    move_job(job, JobState::running, ourselves, "start", nullptr);
    return finished ? 0 : active_wait_ms;
}

// The lock of a walk by blocks is given back when no chunk runs any more.
void dismiss_keeper(const Job &job) {
    shared::ask_stop(MyDatabaseId, job.job_id, shared::Task::keeper, shared::Stop::at_chunk_end);
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

// All processes of the job but those that rebuild indexes.
void stop_walk(const Job &job, shared::Stop stop) {
    shared::ask_stop(MyDatabaseId, job.job_id, shared::Task::chunks, stop);
    shared::ask_stop(MyDatabaseId, job.job_id, shared::Task::reader, stop);
}

long advance_running(Queue *queue, Job *job) {
    if (const char *moved = moved_reason(job)) {
        hold_job(job, moved);
        return 0;
    }
    if (obey_failures(job) || hold_after_failed_starts(job)) return 0;
    const catalog::SplitCounts counts = catalog::count_splits(job->job_id);
    const bool walked = counts.all > 0 && counts.done == counts.all;
    const catalog::DroppedIndexCounts dropped = catalog::count_dropped_indexes(job->job_id);
    if (walked && dropped.left == 0) {
        if (dropped.failed > 0) return 0; // the failure came after the look at failures above
        // So may a TRUNCATE have, and chunks that found nothing any more since.
        if (obey_failures(job)) return 0;
        if (!catalog::raise_epochs(job->job_id)) return slotless_wait_ms;
        dismiss_keeper(*job);
        STRIDE_TEST_POINT("before_finish");
        move_job(job, counts.rejected > 0 ? JobState::succeeded_with_rejects : JobState::succeeded, ourselves, "finish",
                 nullptr);
        return -1;
    }
    const bool idle = shared::count_workers(MyDatabaseId, job->job_id) == 0;
    const char *over = walked ? nullptr : spent(*job, counts.rows_read);
    const Admission admission = admit(*job);
    if (over != nullptr || (admission.hold != nullptr && idle)) {
        hold_job(job, over != nullptr ? over : admission.hold);
        return 0;
    }
    if (admission.leave) stop_walk(*job, shared::Stop::at_chunk_end);
    if (idle) shared::begin_run(MyDatabaseId, job->job_id, counts.rows_read - job->run_rows_before);
    const char *reason = nullptr;
    if (admission.wait == nullptr && admission.hold == nullptr) {
        if (walked)
            top_up_rebuild(queue, *job, dropped, &reason);
        else
            (void)top_up(queue, *job, counts, &reason);
    }
    catalog::set_reason(job->job_id, admission.wait != nullptr ? admission.wait : reason);
    return reason == nullptr ? active_wait_ms : slotless_wait_ms;
}

// What keeps the workers of a job that is ending from rebuilding its indexes; nullptr = nothing.
const char *rebuild_obstacle(Job *job) {
    const int failed = shared::take_failed_starts(MyDatabaseId, job->job_id);
    if (failed > 0) catalog::set_failed_starts(job->job_id, job->failed_starts + failed);
    if (job->failed_starts + failed >= failed_starts_to_hold)
        return psprintf("%d workers ended before they could begin; the server log says why",
                        job->failed_starts + failed);
    if (const char *refusal = owner_refusal(*job)) return refusal;
    return rebind_target_if_moved(job);
}

void give_up_rebuild(const Job &job, const char *obstacle) {
    catalog::fail_dropped_indexes(job.job_id, obstacle);
    if (job.state == JobState::failing) return; // the error that a job fails of is the first one
    ErrorData error = {};
    error.sqlerrcode = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
    error.message = psprintf("indexes of %s could not be rebuilt: %s", job.target_name, obstacle);
    error.hint = pstrdup("The view stride.dropped_indexes has their definitions.");
    catalog::append_failure(catalog::Failure{job.job_id, 0, job.attempt, "fail", nullptr, nullptr, nullptr, &error});
}

// Has the indexes rebuilt before the job fails or is cancelled.  Returns when to look again; -1 = the job may end.
long rebuild_before_end(Queue *queue, Job *job) {
    const catalog::DroppedIndexCounts dropped = catalog::count_dropped_indexes(job->job_id);
    if (dropped.left == 0) {
        if (dropped.failed == 0 || job->state == JobState::failing) return -1;
        move_job(job, JobState::failing, ourselves, "fail", "its indexes could not be rebuilt");
        return 0;
    }
    const Oid target = job->target;
    if (const char *obstacle = rebuild_obstacle(job)) {
        give_up_rebuild(*job, obstacle);
        return 0;
    }
    if (job->target != target) return 0; // a worker must find it committed
    const char *reason = nullptr;
    if (settings::enabled) top_up_rebuild(queue, *job, dropped, &reason);
    return reason == nullptr ? active_wait_ms : slotless_wait_ms;
}

// States that end when the last worker has gone, the indexes are there again and no chunk in flight can commit any
// more.
long advance_ending(Queue *queue, Job *job, shared::Stop stop, JobState to, const char *event) {
    stop_walk(*job, stop);
    if (shared::count_workers(MyDatabaseId, job->job_id, shared::Task::chunks) > 0 ||
        shared::count_workers(MyDatabaseId, job->job_id, shared::Task::reader) > 0)
        return slotless_wait_ms;
    dismiss_keeper(*job);
    const long wait_ms = rebuild_before_end(queue, job);
    if (wait_ms >= 0) return wait_ms;
    (void)shared::take_failed_starts(MyDatabaseId, job->job_id);
    if (!catalog::raise_epochs(job->job_id)) return slotless_wait_ms;
    STRIDE_TEST_POINT("before_end");
    move_job(job, to, ourselves, event, job->state_reason);
    return -1;
}

// Indexes stay dropped; one that is being rebuilt just now is waited for.
long advance_pausing(Job *job) {
    (void)shared::take_failed_starts(MyDatabaseId, job->job_id);
    stop_walk(*job, shared::Stop::at_chunk_end);
    shared::ask_stop(MyDatabaseId, job->job_id, shared::Task::indexes, shared::Stop::at_chunk_end);
    if (shared::count_workers(MyDatabaseId, job->job_id) > 0) return slotless_wait_ms;
    dismiss_keeper(*job);
    if (!catalog::raise_epochs(job->job_id)) return slotless_wait_ms;
    move_job(job, JobState::paused, ourselves, "paused", job->state_reason);
    return 0;
}

} // namespace

long advance_job(Queue *queue, Job *job) {
    switch (job->state) {
    case JobState::queued:
        return advance_queued(queue, job);
    case JobState::running:
        return advance_running(queue, job);
    case JobState::pausing:
        return advance_pausing(job);
    case JobState::failing:
        return advance_ending(queue, job, shared::Stop::at_chunk_end, JobState::failed, "failed");
    case JobState::cancelling:
        return advance_ending(queue, job, shared::Stop::now, JobState::cancelled, "cancelled");
    default:
        return -1;
    }
}

void begin_round(Queue *queue) {
    queue->starving = queue->starved;
    queue->starved = false;
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
