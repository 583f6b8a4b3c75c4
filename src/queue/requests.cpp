// Control calls applied.
// Regime: pg.
#include "queue/requests.hpp"

#include "catalog/dropped_index.hpp"
#include "catalog/reject.hpp"
#include "catalog/split.hpp"
#include "pipeline/transform.hpp"
#include "queue/rebind.hpp"
#include "queue/transition.hpp"
#include "shared/job_pace.hpp"
#include "shared/wakeup.hpp"
#include "shared/worker_slots.hpp"

namespace stride::queue {
namespace {

using catalog::Actor;
using catalog::Job;
using core::JobState;

void note_ignored(const Job &job, const Actor &by, const char *action) {
    catalog::append_event(job.job_id, by, action, core::name(job.state), core::name(job.state),
                          psprintf("had no effect on a job that is %s", core::name(job.state)));
}

void pause(Job *job, const Actor &by) {
    if (job->state == JobState::queued)
        move_job(job, JobState::paused, by, "pause", "paused on request");
    else if (job->state == JobState::running)
        move_job(job, JobState::pausing, by, "pause", "paused on request");
    else
        note_ignored(*job, by, "pause");
}

void resume(Job *job, const Actor &by) {
    if (job->state == JobState::pausing) {
        shared::ask_stop(MyDatabaseId, job->job_id, shared::Task::chunks, shared::Stop::none);
        shared::ask_stop(MyDatabaseId, job->job_id, shared::Task::reader, shared::Stop::none);
        shared::ask_stop(MyDatabaseId, job->job_id, shared::Task::indexes, shared::Stop::none);
        shared::begin_run(MyDatabaseId, job->job_id, 0);
        job->run_rows_before = catalog::count_splits(job->job_id).rows_read;
        move_job(job, JobState::running, by, "resume", nullptr);
        return;
    }
    if (job->state != JobState::paused && job->state != JobState::failed && job->state != JobState::cancelled) {
        note_ignored(*job, by, "resume");
        return;
    }
    const char *refusal = rebind_if_moved(job);
    if (refusal == nullptr) refusal = pipeline::pin_transform(job);
    if (refusal == nullptr) {
        if (job->transform != nullptr) catalog::repin(*job);
        move_job(job, JobState::queued, by, "resume", nullptr);
    } else {
        catalog::set_reason(job->job_id, refusal);
        catalog::append_event(job->job_id, by, "resume", core::name(job->state), core::name(job->state), refusal);
    }
}

bool has_dropped_indexes(const Job &job) {
    const catalog::DroppedIndexCounts counts = catalog::count_dropped_indexes(job.job_id);
    return counts.left + counts.failed > 0;
}

bool cancel(Job *job, const Actor &by) {
    if (job->state == JobState::pausing) return false;
    if (job->state == JobState::queued)
        move_job(job, has_dropped_indexes(*job) ? JobState::cancelling : JobState::cancelled, by, "cancel", nullptr);
    else if (job->state == JobState::running || job->state == JobState::paused)
        move_job(job, JobState::cancelling, by, "cancel", nullptr);
    else
        note_ignored(*job, by, "cancel");
    return true;
}

void alter(const Job &job, const Actor &by, Jsonb *arguments) {
    catalog::alter_job(job.job_id, arguments);
    char *detail = JsonbToCString(nullptr, &arguments->root, VARSIZE(arguments));
    catalog::append_event(job.job_id, by, "alter", core::name(job.state), core::name(job.state), detail);
    const Job *altered = catalog::find_job(job.job_id);
    // A stream loses the rows of a worker that ends early.
    if (altered->workers > 0 && strcmp(job.walk, "stream") != 0)
        shared::ask_surplus_stop(MyDatabaseId, job.job_id, altered->workers);
}

// Not while a retry is at them: it counts on finding them.
void discard_rejects(const Job &job, const Actor &by) {
    if (catalog::find_retry(job.job_id) != 0) {
        note_ignored(job, by, "discard_rejects");
        return;
    }
    const long long discarded = static_cast<long long>(catalog::discard_rejects(job.job_id));
    catalog::append_event(job.job_id, by, "discard_rejects", core::name(job.state), core::name(job.state),
                          psprintf("%lld rejects discarded", discarded));
}

} // namespace

bool apply_request(const catalog::Request &request) {
    Job *job = catalog::find_job(request.job_id);
    if (job == nullptr) return true;
    const Actor by = {request.session_role, request.role_name};
    if (strcmp(request.action, "pause") == 0) {
        pause(job, by);
    } else if (strcmp(request.action, "resume") == 0) {
        resume(job, by);
    } else if (strcmp(request.action, "cancel") == 0) {
        return cancel(job, by);
    } else if (strcmp(request.action, "alter") == 0) {
        alter(*job, by, request.arguments);
    } else if (strcmp(request.action, "forget") == 0) {
        if (core::terminal(job->state) && !catalog::has_rejects(job->job_id) && !has_dropped_indexes(*job))
            catalog::delete_job(job->job_id);
        else
            note_ignored(*job, by, "forget");
    } else if (strcmp(request.action, "discard_rejects") == 0) {
        discard_rejects(*job, by);
    } else {
        elog(ERROR, "unknown request \"%s\" for job %lld", request.action, static_cast<long long>(request.job_id));
    }
    return true;
}

void announce_request(const catalog::Request &request) {
    if (strcmp(request.action, "alter") == 0) shared::tell_altered(MyDatabaseId, request.job_id);
}

void apply_cancel_flags() {
    shared::CancelFlag flag;
    while (shared::take_cancel_flag(MyDatabaseId, &flag)) {
        Job *job = catalog::find_job(flag.job_id);
        if (job == nullptr) continue;
        const Actor by = {GetUserNameFromId(flag.session_role, true), GetUserNameFromId(flag.role, true)};
        if (!cancel(job, by)) (void)shared::set_cancel_flag(MyDatabaseId, flag.job_id, flag.session_role, flag.role);
        if (job->state == JobState::pausing) return;
    }
}

} // namespace stride::queue
