// run and wait: procedures that wait for a job without a snapshot and without a transaction of substance.
// Regime: pg.  Locks: none while waiting.  Between two looks at the job the transaction is ended by SPI_commit.
#include "api/submit.hpp"

#include "bridge/boundary.hpp"
#include "settings/settings.hpp"
#include "shared/wakeup.hpp"

namespace stride::api {
namespace {

using core::JobState;

constexpr long look_ms = 1000; // a look at the job even if nobody says that it changed

constinit pg::FixedStatement select_status = {"SELECT state, state_reason, error_sqlstate, error_message, "
                                              "error_detail, error_hint, error_context, submitted_at = now(),"
                                              " EXISTS (SELECT FROM stride_catalog.request AS r"
                                              "  WHERE r.job_id = job.job_id AND r.action = 'resume')"
                                              " FROM stride_catalog.job WHERE job_id = $1",
                                              1,
                                              {INT8OID},
                                              nullptr};

struct Status {
    bool found;
    JobState state;
    char *reason;
    char *sqlstate;
    char *message;
    char *detail;
    char *hint;
    char *context;
    bool submitted_here;
    bool to_be_resumed; // a committed request that the scheduler has not seen yet
};

struct Wait {
    int64 job_id;
    bool cancels_job;      // a cancel request cancels the job too (run)
    int progress_interval; // ms, 0 = quiet
    TimestampTz deadline;  // TIMESTAMP infinity = none
    MemoryContext memory;  // survives the transactions of the wait
};

Status look(int64 job_id) {
    Status status = {};
    pg::read_fixed(select_status, {pg::arg_int64(job_id)}, [&](const pg::Row &row) {
        const std::optional<JobState> state = core::parse(row.text(1));
        if (!state.has_value())
            elog(ERROR, "unknown state \"%s\" of job %lld", row.text(1), static_cast<long long>(job_id));
        status = Status{true,        *state,      row.text(2), row.text(3),           row.text(4),
                        row.text(5), row.text(6), row.text(7), row.bool_or(8, false), row.bool_or(9, false)};
    });
    return status;
}

// Ends the transaction that the last look needed, so that nothing is held while we sleep.
void end_transaction(const Wait &wait) {
    SPI_commit();
    MemoryContextSwitchTo(wait.memory);
}

[[noreturn]] void obey_cancel(const Wait &wait) {
    QueryCancelPending = false;
    const long long id = static_cast<long long>(wait.job_id);
    const bool told = shared::set_cancel_flag(MyDatabaseId, wait.job_id, GetSessionUserId(), GetUserId());
    ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("canceling statement due to user request"),
                    told ? errdetail("Job %lld is being cancelled.", id) : errdetail("Job %lld goes on.", id),
                    told ? errhint("SELECT stride.resume(%lld) goes on where it stopped.", id)
                         : errhint("SELECT stride.cancel(%lld) cancels it.", id)));
    pg_unreachable();
}

// Sleeps until the scheduler says that a job changed, at most `ms`.
void sleep_a_while(const Wait &wait, long ms) {
    ConditionVariablePrepareToSleep(&shared::area->job_changed);
    const int woken = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
    if ((woken & WL_LATCH_SET) != 0) ResetLatch(MyLatch);
    ConditionVariableCancelSleep();
    const bool by_request = QueryCancelPending && !ProcDiePending && !get_timeout_indicator(STATEMENT_TIMEOUT, false);
    if (wait.cancels_job && by_request) obey_cancel(wait);
    CHECK_FOR_INTERRUPTS();
}

// One line of progress, as stride.progress has it for the caller.
void report_progress(const Wait &wait) {
    static constexpr const char *sql =
        "SELECT format('job %s %s %s%% %s rows/s eta %s%s', job_id, state, coalesce(round(percent::numeric, 1)::text, "
        "'?'),"
        " coalesce(round(rows_per_second::numeric)::text, '?'), coalesce(date_trunc('second', eta)::text, '?'),"
        " ', ' || waiting_for) FROM stride.progress WHERE job_id = $1";
    Oid types[] = {INT8OID};
    Datum values[] = {Int64GetDatum(wait.job_id)};
    const int nest_level = pg::pin_search_path();
    if (SPI_execute_with_args(sql, 1, types, values, nullptr, true, 1) == SPI_OK_SELECT && SPI_processed == 1)
        ereport(NOTICE, (errmsg_internal("%s", SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1))));
    SPI_freetuptable(SPI_tuptable);
    pg::unpin(nest_level);
}

void raise_outcome(const Wait &wait, const Status &status) {
    const long long id = static_cast<long long>(wait.job_id);
    if (status.state == JobState::cancelled)
        ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("job %lld was cancelled", id),
                        errhint("SELECT stride.resume(%lld) goes on where it stopped.", id)));
    if (status.state != JobState::failed) return;
    const char *code = status.sqlstate == nullptr || strlen(status.sqlstate) != 5 ? "XX000" : status.sqlstate;
    ereport(ERROR, (errcode(MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4])),
                    errmsg("job %lld failed: %s", id, status.message == nullptr ? "unknown error" : status.message),
                    status.detail == nullptr ? 0 : errdetail_internal("%s", status.detail),
                    status.context == nullptr ? 0 : (errcontext("%s", status.context)), // a macro of two calls
                    status.hint == nullptr
                        ? errhint("Mend the cause; SELECT stride.resume(%lld) then goes on where it stopped.", id)
                        : errhint("%s\nSELECT stride.resume(%lld) then goes on where it stopped.", status.hint, id)));
}

long next_sleep_ms(const Wait &wait) {
    long ms = look_ms;
    if (wait.progress_interval > 0) ms = Min(ms, static_cast<long>(wait.progress_interval));
    if (!TIMESTAMP_NOT_FINITE(wait.deadline))
        ms = Min(ms, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), wait.deadline) + 1);
    return ms;
}

[[noreturn]] void raise_unknown(int64 job_id) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                    errmsg("job %lld does not exist any more", static_cast<long long>(job_id)),
                    errhint("SELECT job_id, name, state FROM stride.jobs lists your jobs.")));
    pg_unreachable();
}

// Waits until the job ends and raises its error.  The caller is connected to SPI, not atomic.
void wait_for(const Wait &wait) {
    TimestampTz next_progress = GetCurrentTimestamp();
    JobState shown = JobState::queued;
    for (;;) {
        const Status status = look(wait.job_id);
        if (!status.found) raise_unknown(wait.job_id);
        const bool over = core::terminal(status.state) && !status.to_be_resumed;
        const TimestampTz now = GetCurrentTimestamp();
        if (wait.progress_interval > 0 && (over || now >= next_progress || status.state != shown)) {
            report_progress(wait);
            next_progress = TimestampTzPlusMilliseconds(now, wait.progress_interval);
        }
        shown = status.state;
        if (over) {
            raise_outcome(wait, status);
            return;
        }
        end_transaction(wait);
        if (now >= wait.deadline)
            ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
                            errmsg("timed out waiting for job %lld", static_cast<long long>(wait.job_id)),
                            errdetail("The job is %s and goes on.", core::name(status.state)),
                            errhint("SELECT * FROM stride.progress shows how far it is.")));
        sleep_a_while(wait, next_sleep_ms(wait));
    }
}

bool is_atomic(FunctionCallInfo fcinfo) {
    return fcinfo->context == nullptr || !IsA(fcinfo->context, CallContext) ||
           castNode(CallContext, fcinfo->context)->atomic;
}

void refuse_transaction_block(const char *what) {
    ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION), errmsg("%s cannot run inside a transaction block", what),
                    errdetail("It waits for work that other processes do after this transaction has committed."),
                    errhint("Use SELECT stride.submit(..) in the transaction, or CALL %s outside of one.", what)));
}

void run(FunctionCallInfo fcinfo, const char *procedure, Submission (*read_arguments)(FunctionCallInfo)) {
    if (is_atomic(fcinfo)) refuse_transaction_block(procedure);
    const Submission submission = read_arguments(fcinfo);
    Wait wait = {};
    wait.memory = CurrentMemoryContext;
    wait.cancels_job = true;
    wait.deadline = DT_NOEND;
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    wait.job_id = submit(submission);
    wait.progress_interval =
        settings::resolve_settings(settings::check_settings(submission.common.settings, nullptr)).progress_interval;
    end_transaction(wait);
    wait_for(wait);
    SPI_finish();
}

// When a timeout ends: at once if it is negative, never if it is longer than a server lives.
TimestampTz deadline_after(const Interval &timeout) {
    constexpr double longest_days = 36525;
    const double days = static_cast<double>(timeout.time) / static_cast<double>(USECS_PER_DAY) + timeout.day +
                        static_cast<double>(timeout.month) * DAYS_PER_MONTH;
    if (days > longest_days) return DT_NOEND;
    const TimestampTz now = GetCurrentTimestamp();
    return days <= 0 ? now : now + static_cast<TimestampTz>(days * static_cast<double>(USECS_PER_DAY));
}

void wait(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("job_id must not be null"),
                        errhint("Give the id that stride.submit returned, or find it with stride.job_id('name').")));
    shared::require_preload();
    Wait wait = {};
    wait.memory = CurrentMemoryContext;
    wait.job_id = PG_GETARG_INT64(0);
    wait.deadline = DT_NOEND;
    if (!PG_ARGISNULL(1)) wait.deadline = deadline_after(*PG_GETARG_INTERVAL_P(1));
    (void)catalog::require_own_job(wait.job_id);
    if (is_atomic(fcinfo)) {
        if (look(wait.job_id).submitted_here)
            ereport(ERROR,
                    (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                     errmsg("cannot wait for a job that this transaction has submitted"),
                     errdetail("It starts when the transaction commits."),
                     errhint("COMMIT first, then CALL stride.wait(%lld).", static_cast<long long>(wait.job_id))));
        refuse_transaction_block("stride.wait");
    }
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    wait_for(wait);
    SPI_finish();
}

} // namespace
} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_run);
PGDLLEXPORT Datum stride_run(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::run(fcinfo, "stride.run", stride::api::statement_arguments);
        PG_RETURN_VOID();
    });
}

PG_FUNCTION_INFO_V1(stride_run_pipeline);
PGDLLEXPORT Datum stride_run_pipeline(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::run(fcinfo, "stride.run_pipeline", stride::api::pipeline_arguments);
        PG_RETURN_VOID();
    });
}

PG_FUNCTION_INFO_V1(stride_wait);
PGDLLEXPORT Datum stride_wait(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::wait(fcinfo);
        PG_RETURN_VOID();
    });
}

} // extern "C"
