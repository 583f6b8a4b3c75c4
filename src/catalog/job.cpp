// stride_catalog.job: reads by everyone (through fixed statements), the insert of submit.
// Regime: pg.  Takes row locks on job only in insert_job.
#include "catalog/job.hpp"

namespace stride::catalog {
namespace {

#define JOB_COLUMNS                                                                                                    \
    "job_id, name, kind, owner::oid, owner_name, system_identifier, database_oid, extension_oid, timeline, "           \
    "statement, "                                                                                                      \
    "source_alias, wanted_key, workers, chunk_rows, on_error, depends_on, start_at, priority, settings, session, "     \
    "retry_of, reject_limit, reject_percent::float8, pipeline, indexes, "                                              \
    "statement_kind, stored_sql, stored_alias, source, source_name, target, target_name, relations, "                  \
    "relation_names, walk, key_definition, sink, sink_reason, "                                                        \
    "one_to_one, keeps_last, deletes_source, transform, transform_oid, transform_version, "                            \
    "state, state_reason, attempt, failed_starts, run_started_at, run_rows_before"

constinit pg::FixedStatement select_job = {
    "SELECT " JOB_COLUMNS " FROM stride_catalog.job WHERE job_id = $1", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement select_unfinished = {
    "SELECT " JOB_COLUMNS
    " FROM stride_catalog.job WHERE state NOT IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled')"
    " ORDER BY priority DESC, job_id",
    0,
    {},
    nullptr};

constinit pg::FixedStatement select_by_name = {
    "SELECT job_id, state FROM stride_catalog.job WHERE owner = $1::regrole AND name = $2"
    " ORDER BY state IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled'), job_id DESC LIMIT 1",
    2,
    {OIDOID, TEXTOID},
    nullptr};

constinit pg::FixedStatement select_by_statement = {
    "SELECT job_id, state FROM stride_catalog.job WHERE owner = $1::regrole AND name IS NULL AND retry_of IS NULL"
    " AND kind = $2"
    " AND CASE WHEN $4 IS NULL THEN statement = $3 ELSE pipeline = $4 END"
    " ORDER BY state IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled'), job_id DESC LIMIT 1",
    4,
    {OIDOID, TEXTOID, TEXTOID, JSONBOID},
    nullptr};

constinit pg::FixedStatement insert_row = {
    "INSERT INTO stride_catalog.job (name, kind, owner, owner_name, system_identifier, database_oid, extension_oid, "
    "timeline, statement,"
    " source_alias, wanted_key, workers, chunk_rows, on_error, depends_on, start_at, priority, settings, session,"
    " pipeline, indexes, statement_kind, stored_sql, stored_alias, source, source_name, target,"
    " target_name, relations, relation_names, walk, key_definition, sink, sink_reason,"
    " one_to_one, keeps_last, deletes_source, transform, transform_oid, transform_version, reject_limit,"
    " reject_percent, retry_of, state, submitted_at)"
    " VALUES ($1, $2, $3::regrole, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,"
    " $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41,"
    " $42::numeric, $43, 'queued', now()) RETURNING job_id",
    43,
    {TEXTOID,  TEXTOID,      OIDOID,       NAMEOID, INT8OID, OIDOID,       OIDOID,         INT4OID, TEXTOID,
     TEXTOID,  NAMEARRAYOID, INT4OID,      INT4OID, TEXTOID, INT8ARRAYOID, TIMESTAMPTZOID, INT4OID, JSONBOID,
     JSONBOID, JSONBOID,     TEXTOID,      TEXTOID, TEXTOID, TEXTOID,      OIDOID,         TEXTOID, OIDOID,
     TEXTOID,  OIDARRAYOID,  TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID,      TEXTOID,        BOOLOID, BOOLOID,
     BOOLOID,  TEXTARRAYOID, OIDOID,       INT8OID, INT8OID, FLOAT8OID,    INT8OID},
    nullptr};

constinit pg::FixedStatement select_retry = {
    "SELECT job_id FROM stride_catalog.job WHERE retry_of = $1"
    " AND state NOT IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled') LIMIT 1",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement select_predecessor = {
    "SELECT p.job_id, coalesce(j.state, 'forgotten') FROM unnest($1) AS p(job_id)"
    " LEFT JOIN stride_catalog.job j USING (job_id)"
    " WHERE j.state IS DISTINCT FROM 'succeeded' AND j.state IS DISTINCT FROM 'succeeded_with_rejects'"
    " ORDER BY p.job_id LIMIT 1",
    1,
    {INT8ARRAYOID},
    nullptr};

core::JobState state_of(const pg::Row &row, int column) {
    char *text = row.text(column);
    const std::optional<core::JobState> state = core::parse(text == nullptr ? "" : text);
    if (!state.has_value())
        ereport(ERROR,
                (errcode(ERRCODE_DATA_CORRUPTED), errmsg("unknown job state \"%s\" in stride_catalog.job", text)));
    return *state;
}

Job *job_of(const pg::Row &row) {
    Job *job = static_cast<Job *>(palloc0(sizeof(Job)));
    int column = 1;
    job->job_id = row.int64_or(column++, 0);
    job->name = row.text(column++);
    job->kind = row.text(column++);
    job->owner = row.oid_or(column++, InvalidOid);
    job->owner_name = row.text(column++);
    job->home.system_identifier = row.int64_or(column++, 0);
    job->home.database = row.oid_or(column++, InvalidOid);
    job->home.extension = row.oid_or(column++, InvalidOid);
    job->home.timeline = row.int32_or(column++, 0);
    job->statement = row.text(column++);
    job->source_alias = row.text(column++);
    job->wanted_key = row.array(column++);
    job->workers = row.int32_or(column++, 0);
    job->chunk_rows = row.int32_or(column++, 0);
    job->on_error = row.text(column++);
    job->depends_on = row.array(column++);
    job->has_start_at = !row.is_null(column);
    job->start_at = row.int64_or(column++, 0);
    job->priority = row.int32_or(column++, 0);
    job->settings = row.jsonb(column++);
    job->session = row.jsonb(column++);
    job->retry_of = row.int64_or(column++, 0);
    job->reject_limit = row.int64_or(column++, -1);
    job->reject_percent = row.double_or(column++, -1);
    job->pipeline = row.jsonb(column++);
    job->indexes = row.text(column++);
    job->statement_kind = row.text(column++);
    job->stored_sql = row.text(column++);
    job->stored_alias = row.text(column++);
    job->source = row.oid_or(column++, InvalidOid);
    job->source_name = row.text(column++);
    job->target = row.oid_or(column++, InvalidOid);
    job->target_name = row.text(column++);
    job->relations = row.array(column++);
    job->relation_names = row.array(column++);
    job->walk = row.text(column++);
    job->key_definition = row.text(column++);
    job->sink = row.text(column++);
    job->sink_reason = row.text(column++);
    job->one_to_one = row.bool_or(column++, false);
    job->keeps_last = row.bool_or(column++, false);
    job->deletes_source = row.bool_or(column++, false);
    job->transform = row.array(column++);
    job->transform_oid = row.oid_or(column++, InvalidOid);
    job->transform_version = row.int64_or(column++, 0);
    job->state = state_of(row, column++);
    job->state_reason = row.text(column++);
    job->attempt = row.int32_or(column++, 1);
    job->failed_starts = row.int32_or(column++, 0);
    job->run_started_at = row.int64_or(column++, 0);
    job->run_rows_before = row.int64_or(column++, 0);
    return job;
}

} // namespace

Home this_home() {
    return Home{static_cast<int64>(GetSystemIdentifier()), MyDatabaseId, pg::extension_oid(),
                static_cast<int32>(GetWALInsertionTimeLine())};
}

Job *find_job(int64 job_id) {
    Job *found = nullptr;
    pg::read_fixed(select_job, {pg::arg_int64(job_id)}, [&](const pg::Row &row) { found = job_of(row); });
    return found;
}

Job *require_own_job(int64 job_id) {
    Job *job = find_job(job_id);
    if (job == nullptr || !has_privs_of_role(GetUserId(), job->owner))
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("job %lld does not exist", static_cast<long long>(job_id)),
             errdetail("There is no job with this id that role \"%s\" may see.", GetUserNameFromId(GetUserId(), false)),
             errhint("SELECT job_id, name, state FROM stride.jobs lists your jobs.")));
    return job;
}

int64 find_resumable(const Job &like, core::JobState *state) {
    int64 found = 0;
    const auto read = [&](const pg::Row &row) {
        found = row.int64_or(1, 0);
        *state = state_of(row, 2);
    };
    const NullableDatum owner = pg::arg(ObjectIdGetDatum(like.owner));
    if (like.name != nullptr)
        pg::read_fixed(select_by_name, {owner, pg::arg_text(like.name)}, read);
    else
        pg::read_fixed(select_by_statement,
                       {owner, pg::arg_text(like.kind), pg::arg_text(like.statement), pg::arg_jsonb(like.pipeline)},
                       read);
    const bool succeeded = *state == core::JobState::succeeded || *state == core::JobState::succeeded_with_rejects;
    return found != 0 && !succeeded ? found : 0;
}

bool predecessors_succeeded(ArrayType *depends_on, char **reason) {
    if (depends_on == nullptr) return true;
    return pg::read_fixed(select_predecessor, {pg::arg_array(depends_on)}, [&](const pg::Row &row) {
               *reason =
                   psprintf("waits for job %lld, which is %s", static_cast<long long>(row.int64_or(1, 0)), row.text(2));
           }) == 0;
}

int64 find_retry(int64 job_id) {
    int64 found = 0;
    pg::read_fixed(select_retry, {pg::arg_int64(job_id)}, [&](const pg::Row &row) { found = row.int64_or(1, 0); });
    return found;
}

int64 insert_job(const Job &job) {
    using pg::arg;
    using pg::arg_array;
    using pg::arg_int32;
    using pg::arg_int64;
    using pg::arg_text;
    NameData owner_name;
    namestrcpy(&owner_name, job.owner_name);
    int64 job_id = 0;
    pg::read_fixed(insert_row,
                   {arg_text(job.name),
                    arg_text(job.kind),
                    arg(ObjectIdGetDatum(job.owner)),
                    arg(NameGetDatum(&owner_name)),
                    arg_int64(job.home.system_identifier),
                    arg(ObjectIdGetDatum(job.home.database)),
                    arg(ObjectIdGetDatum(job.home.extension)),
                    arg_int32(job.home.timeline),
                    arg_text(job.statement),
                    arg_text(job.source_alias),
                    arg_array(job.wanted_key),
                    arg_int32(job.workers),
                    arg_int32(job.chunk_rows),
                    arg_text(job.on_error),
                    arg_array(job.depends_on),
                    job.has_start_at ? arg(TimestampTzGetDatum(job.start_at)) : pg::null_arg(),
                    arg_int32(job.priority),
                    arg(JsonbPGetDatum(job.settings)),
                    arg(JsonbPGetDatum(job.session)),
                    pg::arg_jsonb(job.pipeline),
                    arg_text(job.indexes),
                    arg_text(job.statement_kind),
                    arg_text(job.stored_sql),
                    arg_text(job.stored_alias),
                    arg(ObjectIdGetDatum(job.source)),
                    arg_text(job.source_name),
                    OidIsValid(job.target) ? arg(ObjectIdGetDatum(job.target)) : pg::null_arg(),
                    arg_text(job.target_name),
                    arg_array(job.relations),
                    arg_array(job.relation_names),
                    arg_text(job.walk),
                    arg_text(job.key_definition),
                    arg_text(job.sink),
                    arg_text(job.sink_reason),
                    arg(BoolGetDatum(job.one_to_one)),
                    arg(BoolGetDatum(job.keeps_last)),
                    arg(BoolGetDatum(job.deletes_source)),
                    arg_array(job.transform),
                    OidIsValid(job.transform_oid) ? arg(ObjectIdGetDatum(job.transform_oid)) : pg::null_arg(),
                    arg_int64(job.transform_version),
                    job.reject_limit >= 0 ? arg_int64(job.reject_limit) : pg::null_arg(),
                    job.reject_percent >= 0 ? arg(Float8GetDatum(job.reject_percent)) : pg::null_arg(),
                    job.retry_of != 0 ? arg_int64(job.retry_of) : pg::null_arg()},
                   [&](const pg::Row &row) { job_id = row.int64_or(1, 0); });
    return job_id;
}

List *unfinished_jobs() {
    List *jobs = NIL;
    pg::read_fixed(select_unfinished, {}, [&](const pg::Row &row) { jobs = lappend(jobs, job_of(row)); });
    return jobs;
}

} // namespace stride::catalog
