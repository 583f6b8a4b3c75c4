// Errors of a worker's chunks.
// Regime: pg.  Each function runs short transactions of its own.
#include "core/backoff.hpp"
#include "core/error_policy.hpp"

#include "process/worker_errors.hpp"

#include "bridge/attempt.hpp"
#include "catalog/request.hpp"
#include "chunk/reject.hpp"
#include "pg/background.hpp"
#include "pg/clock.hpp"
#include "pg/time_limit.hpp"
#include "pg/transaction.hpp"
#include "process/worker_stream.hpp"

namespace stride::process {
namespace {

using core::ErrorPolicy;

constexpr double longest_back_off_ms = 60000;
constexpr double longest_nap_ms = 500; // a stop is seen at once, another clock or another split this late
constexpr double long_wait_factor = 5; // locks and full disks go away more slowly than serialization failures

// A cancel has many causes: a stop that the scheduler asked for, our own time limit (which the caller knows of), else
// an operator.
ErrorPolicy policy_of(const Worker &worker, const ErrorData *error) {
    const shared::Stop stop = shared::wanted_stop(worker.slot);
    if (stop == shared::Stop::now) return ErrorPolicy::interrupt;
    if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && stop != shared::Stop::none) return ErrorPolicy::interrupt;
    const ErrorPolicy found = core::policy(unpack_sql_state(error->sqlerrcode));
    // The end of this process is no error that could be caught: it is another server, of a foreign table, that goes
    // down.
    return found == ErrorPolicy::interrupt && stop == shared::Stop::none ? ErrorPolicy::retry : found;
}

// Policies under which another try may go well, with chunks that are no smaller.
bool passes(ErrorPolicy policy) {
    return policy == ErrorPolicy::retry || policy == ErrorPolicy::wait_and_retry || policy == ErrorPolicy::shrink;
}

double delay_ms(const Worker &worker, int attempt, ErrorPolicy policy) {
    const double factor = policy == ErrorPolicy::retry ? 1 : long_wait_factor;
    return core::backoff_ms(attempt, factor * worker.settings.retry_delay, longest_back_off_ms,
                            pg_prng_double(&pg_global_prng_state));
}

const char *error_text(const ErrorData *error) {
    return psprintf("%s: %s", unpack_sql_state(error->sqlerrcode), error->message);
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

// Ends the worker's part in the job with a failure that the scheduler obeys.  `row_key` is that of the row at fault,
// nullptr if that is not known.
Next end_with(Worker *worker, const catalog::Split *split, const char *policy, const ErrorData *error,
              ArrayType *row_key) {
    in_transaction(worker, [&] {
        if (split != nullptr) catalog::give_back(*split, worker->carry.retries);
        catalog::append_failure(catalog::Failure{
            worker->job->job_id, split == nullptr ? 0 : split->split, worker->job->attempt, policy,
            split == nullptr ? nullptr : split->position, split == nullptr ? nullptr : split->upper, row_key, error});
    });
    return Next::end;
}

const char *refusal_text(const catalog::Job &job, const chunk::PassingResult &passing) {
    const long long kept = static_cast<long long>(passing.rejected - 1);
    const long long judged = static_cast<long long>(passing.judged);
    switch (passing.verdict) {
    case core::RejectVerdict::over_rows:
        return psprintf("%lld rows have been kept aside, and reject_limit is %lld.", kept,
                        static_cast<long long>(job.reject_limit));
    case core::RejectVerdict::over_percent:
        return psprintf("%lld of %lld rows have been kept aside, and reject_percent is %g.", kept, judged - 1,
                        job.reject_percent);
    case core::RejectVerdict::all_bad:
        return psprintf("The first %lld rows were all bad.", judged);
    case core::RejectVerdict::mostly_bad:
        return psprintf("%lld of %lld rows were bad.", kept + 1, judged);
    case core::RejectVerdict::within:
        break;
    }
    return "";
}

// The bad row's error, with what made the job stop at it.
Next fail_over_limit(Worker *worker, const FailedChunk &chunk, const chunk::PassingResult &passing) {
    const char *why = refusal_text(*worker->job, passing);
    ErrorData error = *chunk.error;
    error.detail = error.detail == nullptr ? pstrdup(why) : psprintf("%s\n%s", error.detail, why);
    if (error.hint == nullptr)
        error.hint = psprintf("SELECT * FROM stride.rejects WHERE job_id = %lld shows the rows that were kept aside; "
                              "stride.alter raises the limits, and stride.resume goes on.",
                              static_cast<long long>(worker->job->job_id));
    return end_with(worker, chunk.split, "fail", &error, chunk.tried.reach.last);
}

// Tries once to pass the row; false, with the error in *failure, when that failed.
bool try_to_pass(Worker *worker, const FailedChunk &chunk, bool with_data, chunk::PassingResult *passing,
                 ErrorData **failure) {
    const chunk::BadRow bad = {chunk.tried.reach.last, chunk.error, with_data};
    const core::RejectLimits limits = {worker->job->reject_limit, worker->job->reject_percent};
    *failure = bridge::attempt(worker->chunk_memory, [&] {
        MemoryContextSwitchTo(worker->chunk_memory);
        chunk::pass_bad_row(chunk.work, chunk.identity, chunk.split, bad, limits, &worker->carry, passing);
    });
    if (*failure == nullptr) return true;
    AbortCurrentTransaction();
    return false;
}

// The error as the reason of a pause.
const ErrorData *with_cause(const ErrorData *error) {
    if (error->sqlerrcode != ERRCODE_QUERY_CANCELED) return error;
    ErrorData *told = static_cast<ErrorData *>(palloc(sizeof(ErrorData)));
    *told = *error;
    told->message = psprintf("cancelled by an operator: %s", error->message);
    return told;
}

Next retry_later(Worker *worker, const FailedChunk &chunk, const ErrorData *error, ErrorPolicy policy);

// False if the worker is asked to stop.
bool wait_with_reason(Worker *worker, double delay, const char *reason) {
    const TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), static_cast<int64>(delay));
    shared::set_phase(worker->slot, shared::Phase::waiting);
    shared::set_waiting_for(worker->slot, reason);
    long left_ms;
    while (shared::wanted_stop(worker->slot) == shared::Stop::none &&
           (left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until)) > 0)
        pg::wait_latch(left_ms, PG_WAIT_EXTENSION);
    shared::set_waiting_for(worker->slot, nullptr);
    return shared::wanted_stop(worker->slot) == shared::Stop::none;
}

// One row is left that fails by itself.
Next pass_or_fail(Worker *worker, const FailedChunk &chunk) {
    if (strcmp(worker->job->on_error, "skip") != 0)
        return end_with(worker, chunk.split, "fail", chunk.error, chunk.tried.reach.last);
    chunk::PassingResult passing;
    ErrorData *failure;
    // A value that has no jsonb form must not keep its row from being passed.
    if (!try_to_pass(worker, chunk, true, &passing, &failure) && !is_transient(failure) &&
        policy_of(*worker, failure) != ErrorPolicy::interrupt)
        (void)try_to_pass(worker, chunk, false, &passing, &failure);
    if (failure != nullptr) return retry_later(worker, chunk, failure, policy_of(*worker, failure));
    switch (passing.outcome) {
    case chunk::Passing::passed:
        worker->bisect.rejected();
        if (worker->stream != nullptr) pass_rows(worker, 1, passing.split_done);
        return passing.split_done ? Next::other_split : Next::same_split;
    case chunk::Passing::gone:
        return Next::same_split;
    case chunk::Passing::fenced:
        return Next::other_split;
    case chunk::Passing::refused:
        return fail_over_limit(worker, chunk, passing);
    }
    pg_unreachable();
}

// The fault of some row: goes on with smaller chunks until it is the only one.
Next narrow_down(Worker *worker, const FailedChunk &chunk) {
    worker->carry.retries++;
    // An error of the look ahead itself leaves no row to name.
    const int64 rows = chunk.tried.reach.rows;
    worker->bisect.failed(rows > 0 ? rows : chunk.limit);
    if (!worker->bisect.isolated()) return Next::same_split;
    if (rows == 0) return end_with(worker, chunk.split, "fail", chunk.error, nullptr);
    return pass_or_fail(worker, chunk);
}

// The rows of a stream are with this worker alone: it waits itself.
Next retry_here(Worker *worker, const catalog::Split &split, double delay, const ErrorData *error) {
    worker->stream->attempts++;
    worker->carry.retries++;
    if (wait_with_reason(worker, delay, error->message)) return Next::same_split;
    in_transaction(worker, [&] { catalog::give_back(split, worker->carry.retries); });
    return Next::end;
}

// A passing error: the split is given back for a while, until it has failed too often.
Next retry_later(Worker *worker, const FailedChunk &chunk, const ErrorData *error, ErrorPolicy policy) {
    const int attempt = (worker->stream == nullptr ? chunk.split->attempts : worker->stream->attempts) + 1;
    switch (policy) {
    case ErrorPolicy::interrupt:
        in_transaction(worker, [&] { catalog::give_back(*chunk.split, worker->carry.retries); });
        return Next::end;
    case ErrorPolicy::bisect:
    case ErrorPolicy::fail:
        return end_with(worker, chunk.split, "fail", error, nullptr);
    case ErrorPolicy::pause:
        return end_with(worker, chunk.split, "pause", with_cause(error), nullptr);
    case ErrorPolicy::retry:
    case ErrorPolicy::wait_and_retry:
    case ErrorPolicy::shrink:
        break;
    }
    if (attempt > worker->settings.retry_limit) return end_with(worker, chunk.split, "pause", error, nullptr);
    if (worker->stream != nullptr) return retry_here(worker, *chunk.split, delay_ms(*worker, attempt, policy), error);
    in_transaction(worker, [&] {
        catalog::back_off(*chunk.split, delay_ms(*worker, attempt, policy), error_text(error),
                          worker->carry.retries + 1);
    });
    return Next::other_split;
}

// The chunk took longer than chunk_timeout: smaller ones from now on, and at the smallest the slow row is looked for.
Next too_slow(Worker *worker, const FailedChunk &chunk) {
    chunk.error->message =
        psprintf("canceled because it took longer than chunk_timeout, %d ms", worker->settings.chunk_timeout);
    if (chunk.limit <= core::ChunkSizer::least_rows) return narrow_down(worker, chunk);
    worker->carry.retries++;
    worker->sizer.shrink();
    return Next::same_split;
}

} // namespace

bool is_transient(const ErrorData *error) {
    const char *sqlstate = unpack_sql_state(error->sqlerrcode);
    const ErrorPolicy policy = core::policy(sqlstate);
    return policy == ErrorPolicy::retry || policy == ErrorPolicy::wait_and_retry ||
           error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION;
}

Next handle_chunk_error(Worker *worker, const FailedChunk &chunk) {
    MemoryContextSwitchTo(worker->chunk_memory);
    const ErrorPolicy policy = policy_of(*worker, chunk.error);
    const bool timed_out = chunk.error->sqlerrcode == ERRCODE_QUERY_CANCELED && pg::time_limit_hit();
    if (timed_out && policy != ErrorPolicy::interrupt) return too_slow(worker, chunk);
    if (policy == ErrorPolicy::bisect) return narrow_down(worker, chunk);
    if (policy == ErrorPolicy::shrink && chunk.limit > 1) {
        worker->carry.retries++;
        worker->sizer.shrink();
        return Next::same_split;
    }
    return retry_later(worker, chunk, chunk.error, policy);
}

void record_crashes(Worker *worker, const catalog::Split &split) {
    MemoryContextSwitchTo(worker->chunk_memory);
    ErrorData error = {};
    error.elevel = ERROR;
    error.sqlerrcode = ERRCODE_CRASH_SHUTDOWN;
    error.message = psprintf("the server crashed %d times while the job was at the next %lld rows of split %d",
                             split.crashes, static_cast<long long>(split.suspect_rows), split.split);
    error.hint = pstrdup("The server log tells the cause; stride.splits.position_key is the last row before them.");
    (void)end_with(worker, &split, "pause", &error, nullptr);
}

bool handle_rebuild_error(Worker *worker, const catalog::DroppedIndex &dropped, ErrorData *error) {
    const ErrorPolicy policy = policy_of(*worker, error);
    if (policy == ErrorPolicy::interrupt) return false;
    const int attempt = dropped.attempts + 1;
    in_transaction(worker, [&] {
        if (passes(policy) && attempt <= worker->settings.retry_limit) {
            catalog::back_off_rebuild(dropped, delay_ms(*worker, attempt, ErrorPolicy::wait_and_retry), error);
            return;
        }
        catalog::mark_rebuild_failed(dropped, error);
        // The error that a job fails of is the first one.
        if (worker->job->state != core::JobState::failing)
            catalog::append_failure(catalog::Failure{worker->job->job_id, 0, worker->job->attempt, "fail", nullptr,
                                                     nullptr, nullptr, error});
    });
    return true;
}

void nap(const Worker &worker, double left_ms, int failed, const char *error) {
    shared::set_phase(worker.slot, shared::Phase::waiting);
    shared::set_waiting_for(worker.slot,
                            psprintf("another try in %.0f s, after %d failed: %s", left_ms / 1000, failed, error));
    pg::wait_latch(static_cast<long>(Min(left_ms, longest_nap_ms)) + 1, PG_WAIT_EXTENSION);
    shared::set_waiting_for(worker.slot, nullptr);
}

bool wait_before_retry(Worker *worker, int attempt, const ErrorData *error) {
    const ErrorPolicy policy = policy_of(*worker, error);
    if (!passes(policy) || attempt > worker->settings.retry_limit) return false;
    MemoryContextSwitchTo(worker->chunk_memory);
    const TimestampTz until = pg::now() + static_cast<int64>(1000 * delay_ms(*worker, attempt, policy));
    TimestampTz now;
    while (shared::wanted_stop(worker->slot) == shared::Stop::none && (now = pg::now()) < until)
        nap(*worker, static_cast<double>(until - now) / 1000, attempt, error_text(error));
    return shared::wanted_stop(worker->slot) == shared::Stop::none;
}

void record_planning_error(Worker *worker, ErrorData *error) {
    const ErrorPolicy policy = policy_of(*worker, error);
    if (policy == ErrorPolicy::interrupt) return;
    MemoryContextSwitchTo(worker->chunk_memory);
    const bool fails = policy == ErrorPolicy::fail || policy == ErrorPolicy::bisect;
    (void)end_with(worker, nullptr, fails ? "fail" : "pause", with_cause(error), nullptr);
}

} // namespace stride::process
