// A job's change of state.
// Regime: pg.
#include "queue/transition.hpp"

#include "catalog/dropped_index.hpp"

namespace stride::queue {

using core::JobState;

namespace {

// A pause leaves the target without its indexes, which its readers should know.
const char *with_dropped_indexes(const catalog::Job &job, const char *reason) {
    const int64 left = catalog::count_dropped_indexes(job.job_id).left;
    if (left == 0) return reason;
    return psprintf("%s; %lld indexes of %s stay dropped until it is resumed or cancelled",
                    reason == nullptr ? "paused" : reason, static_cast<long long>(left), job.target_name);
}

} // namespace

void move_job(catalog::Job *job, JobState to, const catalog::Actor &by, const char *event, const char *reason) {
    const JobState from = job->state;
    if (!core::may(from, to))
        elog(ERROR, "job %lld cannot go from %s to %s", static_cast<long long>(job->job_id), core::name(from),
             core::name(to));
    if (to == JobState::paused) reason = with_dropped_indexes(*job, reason);
    if (core::terminal(to)) {
        if (to == JobState::failed) catalog::copy_failure_to_job(job->job_id);
        catalog::mark_finished(job->job_id, to);
    } else if (to == JobState::queued) {
        catalog::mark_requeued(job->job_id, catalog::this_home());
        catalog::forget_failures(job->job_id);
        catalog::retry_dropped_indexes(job->job_id);
    } else if (to == JobState::running) {
        catalog::mark_started(job->job_id, job->run_rows_before);
    } else {
        catalog::set_state(job->job_id, to, reason);
    }
    catalog::append_event(job->job_id, by, event, core::name(from), core::name(to), reason);
    job->state = to;
}

void hold_job(catalog::Job *job, const char *reason) {
    const JobState to = job->state == JobState::queued ? JobState::paused : JobState::pausing;
    move_job(job, to, catalog::Actor{nullptr, nullptr}, "hold", reason);
}

} // namespace stride::queue
