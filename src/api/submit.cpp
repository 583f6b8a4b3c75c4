// submit: stores a job in the caller's transaction; the scheduler is woken when it commits.
// Regime: pg.  Locks: one object lock a job name (or statement) of a role until the transaction ends, so that two
// submissions of the same one see each other.
#include "api/submit.hpp"

#include "bridge/boundary.hpp"
#include "catalog/request.hpp"
#include "shared/wakeup.hpp"

namespace stride::api {
namespace {

char *text_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

ArrayType *array_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : PG_GETARG_ARRAYTYPE_P_COPY(n);
}

enum class IfExists { error, resume, skip, another };

IfExists parse_if_exists(const char *text) {
    if (text != nullptr) {
        if (strcmp(text, "error") == 0) return IfExists::error;
        if (strcmp(text, "resume") == 0) return IfExists::resume;
        if (strcmp(text, "skip") == 0) return IfExists::skip;
        if (strcmp(text, "new") == 0) return IfExists::another;
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for if_exists: \"%s\"", text == nullptr ? "NULL" : text),
                    errhint("Use \"error\", \"resume\", \"skip\" or \"new\".")));
}

// Two sessions that submit the same job at once: the second waits for the first's commit and then finds its job.
void lock_identity(const catalog::Job &job) {
    const char *identity = job.name != nullptr ? job.name : job.statement;
    const uint32 hash =
        hash_combine(job.owner, DatumGetUInt32(hash_any(reinterpret_cast<const unsigned char *>(identity),
                                                        static_cast<int>(strlen(identity)))));
    LockDatabaseObject(ExtensionRelationId, hash, job.name != nullptr ? 1 : 2, ExclusiveLock);
}

[[noreturn]] void raise_exists(const catalog::Job &job, int64 existing, core::JobState state) {
    const long long id = static_cast<long long>(existing);
    const char *again =
        core::terminal(state) || state == core::JobState::paused
            ? "SELECT stride.resume(%lld) goes on where it stopped; if_exists => 'new' starts another one."
            : "SELECT * FROM stride.progress shows it; if_exists => 'skip' accepts it, 'new' starts another one.";
    ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                    job.name != nullptr ? errmsg("job \"%s\" exists already", job.name)
                                        : errmsg("a job with this statement exists already"),
                    errdetail("It is job %lld, which is %s.", id, core::name(state)), errhint(again, id)));
    pg_unreachable();
}

// The job that stands in for this submission, 0 if it is to be stored.
int64 existing_job(const catalog::Job &job, IfExists policy) {
    core::JobState state;
    const int64 existing = catalog::find_resumable(job.owner, job.name, job.statement, &state);
    if (existing == 0 || policy == IfExists::another) return 0;
    if (policy == IfExists::error) raise_exists(job, existing, state);
    const bool stands_still =
        state == core::JobState::paused || state == core::JobState::failed || state == core::JobState::cancelled;
    if (policy == IfExists::resume && stands_still) {
        catalog::append_request(existing, "resume",
                                DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))));
        shared::wake_at_commit();
    }
    return existing;
}

} // namespace

job::Arguments submit_arguments(FunctionCallInfo fcinfo) {
    job::Arguments arguments = {};
    int n = 0;
    arguments.statement = text_argument(fcinfo, n++);
    arguments.name = text_argument(fcinfo, n++);
    arguments.if_exists = text_argument(fcinfo, n++);
    arguments.source_alias = text_argument(fcinfo, n++);
    arguments.key = array_argument(fcinfo, n++);
    arguments.walk = text_argument(fcinfo, n++);
    arguments.has_workers = !PG_ARGISNULL(n);
    arguments.workers = arguments.has_workers ? PG_GETARG_INT32(n) : 0;
    n++;
    arguments.chunk_rows = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);
    n++;
    arguments.on_error = text_argument(fcinfo, n++);
    arguments.has_reject_limit = !PG_ARGISNULL(n) || !PG_ARGISNULL(n + 1);
    n += 2;
    arguments.depends_on = array_argument(fcinfo, n++);
    arguments.has_start_at = !PG_ARGISNULL(n);
    arguments.start_at = arguments.has_start_at ? PG_GETARG_TIMESTAMPTZ(n) : 0;
    n++;
    arguments.priority = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);
    n++;
    arguments.settings = PG_ARGISNULL(n) ? nullptr : PG_GETARG_JSONB_P(n);
    return arguments;
}

job::Arguments explain_arguments(FunctionCallInfo fcinfo) {
    job::Arguments arguments = {};
    arguments.statement = text_argument(fcinfo, 0);
    arguments.on_error = pstrdup("fail");
    arguments.source_alias = text_argument(fcinfo, 1);
    arguments.key = array_argument(fcinfo, 2);
    arguments.walk = text_argument(fcinfo, 3);
    arguments.has_workers = !PG_ARGISNULL(4);
    arguments.workers = arguments.has_workers ? PG_GETARG_INT32(4) : 0;
    arguments.chunk_rows = PG_ARGISNULL(5) ? 0 : PG_GETARG_INT32(5);
    arguments.settings = PG_ARGISNULL(6) ? nullptr : PG_GETARG_JSONB_P(6);
    return arguments;
}

int64 submit(const job::Arguments &arguments) {
    shared::require_preload();
    const IfExists policy = parse_if_exists(arguments.if_exists);
    List *warnings;
    const catalog::Job *job = job::prepare_job(arguments, &warnings);
    lock_identity(*job);
    const int64 existing = existing_job(*job, policy);
    if (existing != 0) return existing;
    const int64 job_id = catalog::insert_job(*job);
    const catalog::Actor by = {GetUserNameFromId(GetSessionUserId(), false), GetUserNameFromId(GetUserId(), false)};
    catalog::append_event(job_id, by, "submit", nullptr, "queued", nullptr);
    shared::wake_at_commit();
    return job_id;
}

} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_submit);
PGDLLEXPORT Datum stride_submit(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary(
        [&]() -> Datum { PG_RETURN_INT64(stride::api::submit(stride::api::submit_arguments(fcinfo))); });
}

// The statement trigger of stride_catalog.job: rows that a restore brings wake the scheduler, which holds them.
PG_FUNCTION_INFO_V1(stride_wake);
PGDLLEXPORT Datum stride_wake(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        if (!CALLED_AS_TRIGGER(fcinfo))
            ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                            errmsg("stride_catalog.wake can only be called as a trigger")));
        if (stride::shared::area != nullptr) stride::shared::wake_at_commit();
        return PointerGetDatum(nullptr);
    });
}

} // extern "C"
