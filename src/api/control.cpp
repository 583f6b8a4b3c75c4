// pause, resume, cancel, alter, forget and job_id: a caller steers its own jobs.
// Regime: pg.  Locks: none that another session waits for.  Each call judges the job as it will stand once the requests
// that are committed or the caller's own have been carried out, and appends a request; it never writes a job row.
#include <optional>
#include <string_view>

#include "core/job_state.hpp"

#include "bridge/boundary.hpp"
#include "catalog/dropped_index.hpp"
#include "catalog/job.hpp"
#include "catalog/reject.hpp"
#include "catalog/request.hpp"
#include "settings/json_object.hpp"
#include "settings/settings.hpp"
#include "pg/fixed.hpp"
#include "shared/wakeup.hpp"

namespace stride::api {
namespace {

using core::JobState;

// A job and its pending requests, in one snapshot.
constinit pg::FixedStatement select_outlook = {
    "SELECT j.state,"
    " (SELECT string_agg(r.action, ',' ORDER BY r.request_id) FROM stride_catalog.request AS r"
    "  WHERE r.job_id = j.job_id),"
    " (SELECT r.arguments->'settings' FROM stride_catalog.request AS r"
    "  WHERE r.job_id = j.job_id AND r.action = 'alter' AND r.arguments ? 'settings'"
    "  ORDER BY r.request_id DESC LIMIT 1),"
    " j.settings"
    " FROM stride_catalog.job AS j WHERE j.job_id = $1",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement select_dependants = {
    "SELECT 1 FROM stride_catalog.job WHERE $1 = ANY (depends_on)"
    " AND state NOT IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled') LIMIT 1",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement select_by_name = {
    "SELECT job_id FROM stride_catalog.job WHERE owner = $1::regrole AND name = $2"
    " ORDER BY state IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled'), job_id DESC LIMIT 1",
    2,
    {OIDOID, TEXTOID},
    nullptr};

// How a job will stand.
struct Outlook {
    JobState state;
    bool forgotten;
    bool rejects_discarded;
    Jsonb *settings;
};

bool succeeded(JobState state) {
    return state == JobState::succeeded || state == JobState::succeeded_with_rejects;
}

// What the scheduler makes of a state when it takes a request, or nothing where the request is not allowed.
std::optional<JobState> after_pause(JobState from) {
    if (from == JobState::paused || from == JobState::pausing) return from;
    if (core::may(from, JobState::pausing)) return JobState::pausing;
    if (core::may(from, JobState::paused)) return JobState::paused;
    return std::nullopt;
}

std::optional<JobState> after_resume(JobState from) {
    if (from == JobState::queued || from == JobState::running) return from;
    if (core::may(from, JobState::queued)) return JobState::queued;
    if (core::may(from, JobState::running)) return JobState::running;
    return std::nullopt;
}

// A pausing job is cancelled as soon as it is paused.
std::optional<JobState> after_cancel(JobState from) {
    if (from == JobState::pausing) from = JobState::paused;
    if (from == JobState::cancelled || from == JobState::cancelling) return from;
    if (core::may(from, JobState::cancelled)) return JobState::cancelled;
    if (core::may(from, JobState::cancelling)) return JobState::cancelling;
    return std::nullopt;
}

// The state asked for: where it leads in the end.
JobState asked_for(JobState next) {
    if (next == JobState::pausing) return JobState::paused;
    if (next == JobState::cancelling) return JobState::cancelled;
    return next;
}

void foresee(Outlook *outlook, std::string_view action) {
    std::optional<JobState> next;
    if (action == "pause")
        next = after_pause(outlook->state);
    else if (action == "resume")
        next = after_resume(outlook->state);
    else if (action == "cancel")
        next = after_cancel(outlook->state);
    else if (action == "forget")
        outlook->forgotten = core::terminal(outlook->state);
    else if (action == "discard_rejects")
        outlook->rejects_discarded = true;
    if (next.has_value()) outlook->state = *next;
}

Outlook outlook_of(const catalog::Job &job) {
    Outlook outlook{job.state, false, false, job.settings};
    pg::read_fixed(select_outlook, {pg::arg_int64(job.job_id)}, [&](const pg::Row &row) {
        outlook.state = core::parse(row.text(1)).value_or(job.state);
        outlook.settings = row.is_null(3) ? row.jsonb(4) : row.jsonb(3);
        if (row.is_null(2)) return;
        for (std::string_view rest = row.text(2); !rest.empty();) {
            const std::size_t comma = rest.find(',');
            foresee(&outlook, rest.substr(0, comma));
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        }
    });
    return outlook;
}

int64 job_argument(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("job_id must not be null"),
                        errhint("Give the id that stride.submit returned, or find it with stride.job_id('name').")));
    return PG_GETARG_INT64(0);
}

// What to do about a job whose state does not allow what was asked.
const char *way_on(int64 job_id, JobState state) {
    const long long id = static_cast<long long>(job_id);
    switch (state) {
    case JobState::succeeded:
    case JobState::succeeded_with_rejects:
        return "It is over; submit the statement again to have it done again.";
    case JobState::failed:
    case JobState::cancelled:
        return psprintf("It has ended; stride.resume(%lld) goes on where it stopped, stride.forget(%lld) removes it.",
                        id, id);
    case JobState::failing:
    case JobState::cancelling:
        return "It is ending; try again when stride.jobs shows that it has ended.";
    default:
        return psprintf("It is unfinished; stride.cancel(%lld) ends it, CALL stride.wait(%lld) waits for its end.", id,
                        id);
    }
}

// Says that the state of a job does not allow what was asked.
void report(int level, const char *verb, int64 job_id, const Outlook &outlook) {
    const char *state = outlook.forgotten ? "about to be removed" : core::name(outlook.state);
    ereport(level,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("cannot %s job %lld", verb, static_cast<long long>(job_id)), errdetail("The job is %s.", state),
             errhint("%s", outlook.forgotten ? "Submit the statement again." : way_on(job_id, outlook.state))));
}

[[noreturn]] void refuse(const char *verb, int64 job_id, const Outlook &outlook) {
    report(ERROR, verb, job_id, outlook);
    pg_unreachable();
}

Jsonb *no_arguments() {
    return settings::check_settings(nullptr, nullptr);
}

void request(int64 job_id, const char *action, Jsonb *arguments) {
    pg::require_writable(psprintf("stride.%s", action));
    shared::wake_at_commit();
    catalog::append_request(job_id, action, arguments);
    if (IsTransactionBlock())
        ereport(NOTICE, (errmsg("the %s request takes effect when this transaction commits", action)));
}

// States in which there is nothing left to ask for.
bool pause_is_settled(JobState state) {
    return state == JobState::paused || state == JobState::pausing;
}
bool cancel_is_settled(JobState state) {
    return state == JobState::cancelled || state == JobState::cancelling;
}
// A resume is always asked for: a queued or running job may be about to be paused by a request in work just now.
bool resume_is_settled(JobState) {
    return false;
}

// pause, resume and cancel: one shape.  A job that cannot be resumed is an error.  One that needs no stopping any more is
// not, as it may have ended since the caller looked for jobs to stop.
Datum steer(FunctionCallInfo fcinfo, const char *action, std::optional<JobState> (*after)(JobState),
            bool (*is_settled)(JobState), int otherwise) {
    const catalog::Job *job = catalog::require_own_job(job_argument(fcinfo));
    const Outlook outlook = outlook_of(*job);
    const std::optional<JobState> next = after(outlook.state);
    if (outlook.forgotten || !next.has_value()) {
        report(otherwise, action, job->job_id, outlook);
        return CStringGetTextDatum(core::name(outlook.state));
    }
    if (!is_settled(outlook.state)) request(job->job_id, action, no_arguments());
    return CStringGetTextDatum(core::name(asked_for(*next)));
}

// The arguments of stride.alter.
enum AlterArgument : int { with_workers = 1, with_chunk_rows, with_settings, with_reject_limit, with_reject_percent };

bool is_given(FunctionCallInfo fcinfo, AlterArgument argument) {
    return !PG_ARGISNULL(argument);
}

void put_limits(settings::JsonObject *arguments, FunctionCallInfo fcinfo, const catalog::Job &job) {
    if (is_given(fcinfo, with_reject_limit)) {
        settings::check_reject_limit(PG_GETARG_INT64(with_reject_limit));
        arguments->put_number("reject_limit", int64_to_numeric(PG_GETARG_INT64(with_reject_limit)));
    }
    if (is_given(fcinfo, with_reject_percent)) {
        settings::check_reject_percent(
            DatumGetFloat8(DirectFunctionCall1(numeric_float8, PG_GETARG_DATUM(with_reject_percent))));
        arguments->put_number("reject_percent", PG_GETARG_NUMERIC(with_reject_percent));
    }
    if ((is_given(fcinfo, with_reject_limit) || is_given(fcinfo, with_reject_percent)) &&
        strcmp(job.on_error, "skip") != 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("job %lld has no reject limits", static_cast<long long>(job.job_id)),
                        errdetail("It fails at the first row that it cannot process."),
                        errhint("Submit its statement again with on_error => 'skip'.")));
}

// The arguments of an alter request, checked: those that were given.
Jsonb *altered(FunctionCallInfo fcinfo, const catalog::Job &job, const Outlook &outlook) {
    bool any = false;
    for (int argument = with_workers; argument <= with_reject_percent; argument++)
        any = any || !PG_ARGISNULL(argument);
    if (!any)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("nothing to alter"),
                        errhint("Give workers, chunk_rows, settings, reject_limit or reject_percent.")));
    settings::JsonObject arguments;
    if (is_given(fcinfo, with_workers)) {
        settings::check_workers(PG_GETARG_INT32(with_workers));
        arguments.put_number("workers", int64_to_numeric(PG_GETARG_INT32(with_workers)));
    }
    if (is_given(fcinfo, with_chunk_rows)) {
        settings::check_chunk_rows(PG_GETARG_INT32(with_chunk_rows));
        arguments.put_number("chunk_rows", int64_to_numeric(PG_GETARG_INT32(with_chunk_rows)));
    }
    if (is_given(fcinfo, with_settings))
        arguments.put_json("settings", settings::check_settings(PG_GETARG_JSONB_P(with_settings), outlook.settings));
    put_limits(&arguments, fcinfo, job);
    return arguments.finish();
}

// As at submission: the next run of a stream would begin anew.
void refuse_end_of_run(const catalog::Job &job, Jsonb *changed) {
    const settings::Settings settings = settings::resolve_settings(changed, job.session);
    if (strcmp(job.walk, "stream") != 0 || (settings.max_rows == 0 && settings.max_run_time == 0)) return;
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("job %lld walks a stream, which cannot go on where it stopped", static_cast<long long>(job.job_id)),
             errdetail("max_rows and max_run_time end a run before the stream's end."),
             errhint("Leave them out, or submit the pipeline with walk => 'spool'.")));
}

Datum alter(FunctionCallInfo fcinfo) {
    const catalog::Job *job = catalog::require_own_job(job_argument(fcinfo));
    const Outlook outlook = outlook_of(*job);
    if (outlook.forgotten || succeeded(outlook.state)) refuse("alter", job->job_id, outlook);
    if (is_given(fcinfo, with_settings))
        refuse_end_of_run(*job, settings::check_settings(PG_GETARG_JSONB_P(with_settings), outlook.settings));
    request(job->job_id, "alter", altered(fcinfo, *job, outlook));
    return CStringGetTextDatum(core::name(outlook.state));
}

void forget(int64 job_id) {
    const catalog::Job *job = catalog::require_own_job(job_id);
    const Outlook outlook = outlook_of(*job);
    if (outlook.forgotten) return;
    if (!core::terminal(outlook.state)) refuse("forget", job_id, outlook);
    if (catalog::has_rejects(job_id) && !outlook.rejects_discarded)
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("cannot forget job %lld", static_cast<long long>(job_id)),
             errdetail("It holds rejects: rows that it could not process."),
             errhint("SELECT * FROM stride.rejects WHERE job_id = %lld shows them; stride.retry_rejects(%lld) "
                     "drives them again, stride.discard_rejects(%lld) gives them up.",
                     static_cast<long long>(job_id), static_cast<long long>(job_id), static_cast<long long>(job_id))));
    if (pg::run_fixed(select_dependants, {pg::arg_int64(job_id)}) > 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("cannot forget job %lld", static_cast<long long>(job_id)),
                        errdetail("An unfinished job depends on it."),
                        errhint("Wait for that job, or cancel it; stride.jobs.depends_on names what each waits for.")));
    const catalog::DroppedIndexCounts dropped = catalog::count_dropped_indexes(job_id);
    if (dropped.left + dropped.failed > 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("cannot forget job %lld", static_cast<long long>(job_id)),
                        errdetail("It dropped %lld indexes of %s that are not rebuilt.",
                                  static_cast<long long>(dropped.left + dropped.failed), job->target_name),
                        errhint("SELECT stride.resume(%lld) rebuilds them; the view stride.dropped_indexes has their "
                                "definitions.",
                                static_cast<long long>(job_id))));
    request(job_id, "forget", no_arguments());
}

void discard_rejects(int64 job_id) {
    (void)catalog::require_own_job(job_id);
    const int64 retry = catalog::find_retry(job_id);
    if (retry != 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("cannot discard the rejects of job %lld", static_cast<long long>(job_id)),
                        errdetail("Job %lld drives them again.", static_cast<long long>(retry)),
                        errhint("Wait for it, or SELECT stride.cancel(%lld).", static_cast<long long>(retry))));
    request(job_id, "discard_rejects", no_arguments());
}

int64 job_id_of(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("name must not be null"),
                        errhint("Give the name that the job was submitted with.")));
    const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    int64 job_id = 0;
    pg::read_fixed(select_by_name, {pg::arg(ObjectIdGetDatum(GetUserId())), pg::arg_text(name)},
                   [&](const pg::Row &row) { job_id = row.int64_or(1, 0); });
    if (job_id == 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("there is no job named \"%s\"", name),
                        errdetail("Role \"%s\" owns no job of this name.", GetUserNameFromId(GetUserId(), false)),
                        errhint("SELECT job_id, name, state FROM stride.jobs lists your jobs.")));
    return job_id;
}

} // namespace
} // namespace stride::api

using stride::bridge::boundary;
namespace api = stride::api;

extern "C" {

PG_FUNCTION_INFO_V1(stride_pause);
PGDLLEXPORT Datum stride_pause(PG_FUNCTION_ARGS) {
    return boundary([&] { return api::steer(fcinfo, "pause", api::after_pause, api::pause_is_settled, WARNING); });
}

PG_FUNCTION_INFO_V1(stride_resume);
PGDLLEXPORT Datum stride_resume(PG_FUNCTION_ARGS) {
    return boundary([&] { return api::steer(fcinfo, "resume", api::after_resume, api::resume_is_settled, ERROR); });
}

PG_FUNCTION_INFO_V1(stride_cancel);
PGDLLEXPORT Datum stride_cancel(PG_FUNCTION_ARGS) {
    return boundary([&] { return api::steer(fcinfo, "cancel", api::after_cancel, api::cancel_is_settled, WARNING); });
}

PG_FUNCTION_INFO_V1(stride_alter);
PGDLLEXPORT Datum stride_alter(PG_FUNCTION_ARGS) {
    return boundary([&] { return api::alter(fcinfo); });
}

PG_FUNCTION_INFO_V1(stride_forget);
PGDLLEXPORT Datum stride_forget(PG_FUNCTION_ARGS) {
    return boundary([&]() -> Datum {
        api::forget(api::job_argument(fcinfo));
        PG_RETURN_VOID();
    });
}

PG_FUNCTION_INFO_V1(stride_discard_rejects);
PGDLLEXPORT Datum stride_discard_rejects(PG_FUNCTION_ARGS) {
    return boundary([&]() -> Datum {
        api::discard_rejects(api::job_argument(fcinfo));
        PG_RETURN_VOID();
    });
}

PG_FUNCTION_INFO_V1(stride_job_id);
PGDLLEXPORT Datum stride_job_id(PG_FUNCTION_ARGS) {
    return boundary([&]() -> Datum { PG_RETURN_INT64(api::job_id_of(fcinfo)); });
}

} // extern "C"
