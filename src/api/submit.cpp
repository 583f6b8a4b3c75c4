// submit: stores a job in the caller's transaction; the scheduler is woken when it commits.
// Regime: pg.  Locks: one object lock a job name (or statement) of a role until the transaction ends, so that two
// submissions of the same one see each other.
#include "api/submit.hpp"

#include "bridge/boundary.hpp"
#include "catalog/request.hpp"
#include "settings/settings.hpp"
#include "shared/wakeup.hpp"

namespace stride::api {
namespace {

char *text_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

ArrayType *array_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : PG_GETARG_ARRAYTYPE_P_COPY(n);
}

Jsonb *jsonb_argument(FunctionCallInfo fcinfo, int n) {
    return PG_ARGISNULL(n) ? nullptr : PG_GETARG_JSONB_P(n);
}

constexpr int pipeline_argument_count = 11;

// The first arguments of the pipeline forms.
const pipeline::Arguments *read_pipeline(FunctionCallInfo fcinfo) {
    pipeline::Arguments *arguments = static_cast<pipeline::Arguments *>(palloc0(sizeof(pipeline::Arguments)));
    int n = 0;
    arguments->target = PG_ARGISNULL(n) ? InvalidOid : PG_GETARG_OID(n);
    n++;
    arguments->source = PG_ARGISNULL(n) ? InvalidOid : PG_GETARG_OID(n);
    n++;
    arguments->source_query = text_argument(fcinfo, n++);
    arguments->transform = text_argument(fcinfo, n++);
    arguments->transform_query = text_argument(fcinfo, n++);
    arguments->on_conflict = text_argument(fcinfo, n++);
    arguments->conflict_columns = array_argument(fcinfo, n++);
    arguments->update_columns = array_argument(fcinfo, n++);
    arguments->update_set = text_argument(fcinfo, n++);
    arguments->has_delete_source = !PG_ARGISNULL(n);
    arguments->delete_source = arguments->has_delete_source && PG_GETARG_BOOL(n);
    n++;
    arguments->indexes = text_argument(fcinfo, n++);
    return arguments;
}

// name, if_exists
void read_names(FunctionCallInfo fcinfo, int n, job::Arguments *arguments) {
    arguments->name = text_argument(fcinfo, n);
    arguments->if_exists = text_argument(fcinfo, n + 1);
}

// key, walk, workers, chunk_rows
void read_planning(FunctionCallInfo fcinfo, int n, job::Arguments *arguments) {
    arguments->key = array_argument(fcinfo, n++);
    arguments->walk = text_argument(fcinfo, n++);
    arguments->has_workers = !PG_ARGISNULL(n);
    arguments->workers = arguments->has_workers ? PG_GETARG_INT32(n) : 0;
    n++;
    arguments->chunk_rows = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);
}

// on_error, reject_limit, reject_percent
void read_on_error(FunctionCallInfo fcinfo, int n, job::Arguments *arguments) {
    arguments->on_error = text_argument(fcinfo, n++);
    arguments->has_reject_limit = !PG_ARGISNULL(n);
    arguments->reject_limit = arguments->has_reject_limit ? PG_GETARG_INT64(n) : 0;
    n++;
    arguments->reject_percent = PG_ARGISNULL(n) ? Datum{0} : PG_GETARG_DATUM(n);
}

// on_error .. settings
void read_execution(FunctionCallInfo fcinfo, int n, job::Arguments *arguments) {
    read_on_error(fcinfo, n, arguments);
    n += 3;
    arguments->depends_on = array_argument(fcinfo, n++);
    arguments->has_start_at = !PG_ARGISNULL(n);
    arguments->start_at = arguments->has_start_at ? PG_GETARG_TIMESTAMPTZ(n) : 0;
    n++;
    arguments->priority = PG_ARGISNULL(n) ? 0 : PG_GETARG_INT32(n);
    n++;
    arguments->settings = jsonb_argument(fcinfo, n);
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
    const char *identity = job.name;
    if (identity == nullptr)
        identity = job.pipeline == nullptr ? job.statement
                                           : JsonbToCString(nullptr, &job.pipeline->root, VARSIZE(job.pipeline));
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
                                        : errmsg("a job with this %s exists already", job.kind),
                    errdetail("It is job %lld, which is %s.", id, core::name(state)), errhint(again, id)));
    pg_unreachable();
}

// The job that stands in for this submission, 0 if it is to be stored.
int64 existing_job(const catalog::Job &job, IfExists policy) {
    core::JobState state;
    const int64 existing = catalog::find_resumable(job, &state);
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

Submission statement_arguments(FunctionCallInfo fcinfo) {
    Submission submission = {};
    submission.statement = text_argument(fcinfo, 0);
    read_names(fcinfo, 1, &submission.common);
    submission.common.source_alias = text_argument(fcinfo, 3);
    read_planning(fcinfo, 4, &submission.common);
    read_execution(fcinfo, 8, &submission.common);
    return submission;
}

Submission pipeline_arguments(FunctionCallInfo fcinfo) {
    Submission submission = {};
    submission.pipeline = read_pipeline(fcinfo);
    read_names(fcinfo, pipeline_argument_count, &submission.common);
    read_planning(fcinfo, pipeline_argument_count + 2, &submission.common);
    read_execution(fcinfo, pipeline_argument_count + 6, &submission.common);
    return submission;
}

Submission explain_arguments(FunctionCallInfo fcinfo) {
    Submission submission = {};
    submission.statement = text_argument(fcinfo, 0);
    submission.common.source_alias = text_argument(fcinfo, 1);
    read_planning(fcinfo, 2, &submission.common);
    read_on_error(fcinfo, 6, &submission.common);
    submission.common.settings = jsonb_argument(fcinfo, 9);
    return submission;
}

Submission explain_pipeline_arguments(FunctionCallInfo fcinfo) {
    Submission submission = {};
    submission.pipeline = read_pipeline(fcinfo);
    read_planning(fcinfo, pipeline_argument_count, &submission.common);
    read_on_error(fcinfo, pipeline_argument_count + 4, &submission.common);
    submission.common.settings = jsonb_argument(fcinfo, pipeline_argument_count + 7);
    return submission;
}

job::Prepared prepare(const Submission &submission) {
    if (submission.pipeline == nullptr)
        return job::prepare_job(job::statement_work(submission.statement), submission.common);
    const settings::Settings settings =
        settings::resolve_settings(settings::check_settings(submission.common.settings, nullptr));
    return job::prepare_job(pipeline::compile(*submission.pipeline, submission.common, settings), submission.common);
}

int64 submit(const Submission &submission) {
    shared::require_preload();
    pg::require_writable(submission.pipeline == nullptr ? "stride.submit" : "stride.submit_pipeline");
    const IfExists policy = parse_if_exists(submission.common.if_exists);
    const job::Prepared prepared = prepare(submission);
    const catalog::Job *job = prepared.job;
    lock_identity(*job);
    const int64 existing = existing_job(*job, policy);
    if (existing != 0) {
        if (prepared.work_table != nullptr) catalog::discard_work_table(prepared.work_table->relation);
        return existing;
    }
    const int64 job_id = catalog::insert_job(*job);
    if (prepared.work_table != nullptr) catalog::insert_work_table(job_id, *prepared.work_table);
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
        [&]() -> Datum { PG_RETURN_INT64(stride::api::submit(stride::api::statement_arguments(fcinfo))); });
}

PG_FUNCTION_INFO_V1(stride_submit_pipeline);
PGDLLEXPORT Datum stride_submit_pipeline(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary(
        [&]() -> Datum { PG_RETURN_INT64(stride::api::submit(stride::api::pipeline_arguments(fcinfo))); });
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
