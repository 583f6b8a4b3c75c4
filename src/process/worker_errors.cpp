// Errors of a worker's chunks.
// Regime: pg.  Each function runs a short transaction of its own.
#include "core/backoff.hpp"
#include "core/error_policy.hpp"

#include "process/worker_errors.hpp"

#include "bridge/attempt.hpp"
#include "catalog/request.hpp"
#include "pg/transaction.hpp"

namespace stride::process {
namespace {

using core::ErrorPolicy;

constexpr double longest_back_off_ms = 60000;
constexpr double long_wait_factor = 5; // locks and full disks go away more slowly than serialization failures

ErrorPolicy policy_of(const Worker &worker, const ErrorData *error) {
    // Our own stop arrives as a termination; a cancel that nobody of ours asked for is an operator's.
    if (shared::wanted_stop(worker.slot) == shared::Stop::now) return ErrorPolicy::interrupt;
    return core::policy(unpack_sql_state(error->sqlerrcode));
}

double delay_ms(const Worker &worker, int attempt, double factor) {
    return core::backoff_ms(attempt, factor * worker.settings.retry_delay, longest_back_off_ms,
                            pg_prng_double(&pg_global_prng_state));
}

// Runs f in a transaction of its own; when even that fails, the error goes to the log and the worker ends.
template <class F>
void in_transaction(Worker *worker, F &&f) {
    ErrorData *error = bridge::attempt(worker->chunk_memory, [&] {
        pg::begin_transaction();
        MemoryContextSwitchTo(worker->chunk_memory);
        f();
        pg::commit_transaction();
    });
    if (error == nullptr) return;
    AbortCurrentTransaction();
    ereport(LOG, (errmsg("pg_stride worker of job %lld could not write down an error: %s",
                         static_cast<long long>(worker->order.job_id), error->message)));
    proc_exit(1);
}

void end_with(Worker *worker, const catalog::Split *split, const char *policy, ErrorData *error) {
    in_transaction(worker, [&] {
        if (split != nullptr) catalog::give_back(*split);
        catalog::append_failure(catalog::Failure{
            worker->job->job_id, split == nullptr ? 0 : split->split, worker->job->attempt, policy,
            split == nullptr ? nullptr : split->position, split == nullptr ? nullptr : split->upper, error});
    });
}

} // namespace

bool is_transient(const ErrorData *error) {
    const char *sqlstate = unpack_sql_state(error->sqlerrcode);
    const ErrorPolicy policy = core::policy(sqlstate);
    return policy == ErrorPolicy::retry || policy == ErrorPolicy::wait_and_retry ||
           error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION;
}

bool handle_chunk_error(Worker *worker, const catalog::Split &split, ErrorData *error) {
    const ErrorPolicy policy = policy_of(*worker, error);
    const int attempt = split.attempts + 1;
    const bool exhausted = attempt > worker->settings.retry_limit;
    switch (policy) {
    case ErrorPolicy::interrupt:
        in_transaction(worker, [&] { catalog::give_back(split); });
        return false;
    case ErrorPolicy::retry:
    case ErrorPolicy::wait_and_retry:
    case ErrorPolicy::shrink: {
        if (exhausted) break;
        const double factor = policy == ErrorPolicy::wait_and_retry ? long_wait_factor : 1;
        if (policy == ErrorPolicy::shrink) worker->sizer.shrink();
        in_transaction(worker, [&] { catalog::back_off(split, delay_ms(*worker, attempt, factor), true); });
        return true;
    }
    case ErrorPolicy::pause:
        break;
    case ErrorPolicy::bisect:
    case ErrorPolicy::fail:
        end_with(worker, &split, "fail", error);
        return false;
    }
    end_with(worker, &split, "pause", error);
    return false;
}

void record_planning_error(Worker *worker, ErrorData *error) {
    const ErrorPolicy policy = policy_of(*worker, error);
    if (policy == ErrorPolicy::interrupt) return;
    const bool fails = policy == ErrorPolicy::fail || policy == ErrorPolicy::bisect;
    end_with(worker, nullptr, fails ? "fail" : "pause", error);
}

} // namespace stride::process
