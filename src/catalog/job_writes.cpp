// stride_catalog.job: the scheduler's updates, and the removal of a job.
// Regime: pg.  Row locks on job rows, which nobody but the scheduler ever takes.
#include "catalog/job.hpp"

namespace stride::catalog {
namespace {

constinit pg::FixedStatement update_state = {
    "UPDATE stride_catalog.job SET state = $2, state_reason = $3 WHERE job_id = $1",
    3,
    {INT8OID, TEXTOID, TEXTOID},
    nullptr};

constinit pg::FixedStatement update_reason = {
    "UPDATE stride_catalog.job SET state_reason = $2 WHERE job_id = $1 AND state_reason IS DISTINCT FROM $2",
    2,
    {INT8OID, TEXTOID},
    nullptr};

constinit pg::FixedStatement update_started = {
    "UPDATE stride_catalog.job SET state = 'running', state_reason = NULL,"
    " started_at = coalesce(started_at, clock_timestamp()), run_started_at = clock_timestamp(),"
    " run_rows_before = $2 WHERE job_id = $1",
    2,
    {INT8OID, INT8OID},
    nullptr};

constinit pg::FixedStatement update_finished = {
    "UPDATE stride_catalog.job SET state = $2, state_reason = NULL, finished_at = clock_timestamp() WHERE job_id = $1",
    2,
    {INT8OID, TEXTOID},
    nullptr};

constinit pg::FixedStatement update_requeued = {
    "UPDATE stride_catalog.job SET state = 'queued', state_reason = NULL, finished_at = NULL, failed_starts = 0,"
    " attempt = attempt + CASE WHEN state IN ('failed', 'cancelled') THEN 1 ELSE 0 END, system_identifier = $2,"
    " database_oid = $3, extension_oid = $4, timeline = $5, error_sqlstate = NULL, error_message = NULL,"
    " error_detail = NULL, error_hint = NULL, error_context = NULL WHERE job_id = $1",
    5,
    {INT8OID, INT8OID, OIDOID, OIDOID, INT4OID},
    nullptr};

constinit pg::FixedStatement requeue_splits = {
    "UPDATE stride_catalog.split SET state = 'pending', cookie = NULL, "
    "worker_pid = NULL, not_before = NULL, attempts = 0, crashes = 0, last_error = NULL"
    " WHERE job_id = $1 AND state <> 'done'",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement update_failed_starts = {
    "UPDATE stride_catalog.job SET failed_starts = $2 WHERE job_id = $1", 2, {INT8OID, INT4OID}, nullptr};

constinit pg::FixedStatement update_altered = {
    "UPDATE stride_catalog.job SET workers = coalesce(($2->>'workers')::integer, workers),"
    " chunk_rows = coalesce(($2->>'chunk_rows')::integer, chunk_rows), settings = coalesce($2->'settings', settings),"
    " reject_limit = coalesce(($2->>'reject_limit')::bigint, reject_limit),"
    " reject_percent = coalesce(($2->>'reject_percent')::numeric, reject_percent)"
    " WHERE job_id = $1",
    2,
    {INT8OID, JSONBOID},
    nullptr};

constinit pg::FixedStatement update_home = {
    "UPDATE stride_catalog.job SET system_identifier = $2, database_oid = $3, extension_oid = $4, timeline = $5"
    " WHERE job_id = $1",
    5,
    {INT8OID, INT8OID, OIDOID, OIDOID, INT4OID},
    nullptr};

constinit pg::FixedStatement update_bindings = {
    "UPDATE stride_catalog.job SET source = $2, target = $3, relations = $4, owner_name = $5"
    " WHERE job_id = $1",
    5,
    {INT8OID, OIDOID, OIDOID, OIDARRAYOID, NAMEOID},
    nullptr};

constinit pg::FixedStatement update_target = {
    "UPDATE stride_catalog.job SET target = $2 WHERE job_id = $1 AND target IS DISTINCT FROM $2",
    2,
    {INT8OID, OIDOID},
    nullptr};

constinit pg::FixedStatement update_pin = {
    "UPDATE stride_catalog.job SET transform_oid = $2, transform_version = $3 WHERE job_id = $1",
    3,
    {INT8OID, OIDOID, INT8OID},
    nullptr};

constinit pg::FixedStatement copy_failure = {
    "UPDATE stride_catalog.job j SET error_sqlstate = f.sqlstate, error_message = f.message, error_detail = f.detail,"
    " error_hint = f.hint, error_context = nullif(concat_ws(E'\\n', f.context, 'row with key ' || f.row_key::text,"
    " 'chunk of split ' || f.split || ', keys after ' || coalesce(f.lower_key::text, 'the start') || ' up to '"
    " || f.upper_key::text), '')"
    " FROM (SELECT * FROM stride_catalog.failure WHERE job_id = $1 ORDER BY failure_id DESC LIMIT 1) f"
    " WHERE j.job_id = $1",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement select_expired = {
    "SELECT job_id FROM stride_catalog.job AS j WHERE finished_at < now() - $1 * interval '1 minute'"
    " AND NOT EXISTS (SELECT FROM stride_catalog.reject AS r WHERE r.job_id = j.job_id)"
    " AND NOT EXISTS (SELECT FROM stride_catalog.dropped_index AS d WHERE d.job_id = j.job_id"
    " AND d.state IN ('dropped', 'failed')) LIMIT 1000",
    1,
    {INT4OID},
    nullptr};

// A succeeded job's totals are in its splits; its chunk rows are worth a day.
constinit pg::FixedStatement delete_old_chunks = {
    "DELETE FROM stride_catalog.chunk c USING stride_catalog.job j WHERE c.job_id = j.job_id AND j.state = 'succeeded'"
    " AND j.finished_at < now() - interval '1 day'",
    0,
    {},
    nullptr};

constinit pg::FixedStatement delete_rows = {"WITH a AS (DELETE FROM stride_catalog.split WHERE job_id = $1),"
                                            " b AS (DELETE FROM stride_catalog.sample WHERE job_id = $1),"
                                            " c AS (DELETE FROM stride_catalog.chunk WHERE job_id = $1),"
                                            " d AS (DELETE FROM stride_catalog.failure WHERE job_id = $1),"
                                            " e AS (DELETE FROM stride_catalog.event WHERE job_id = $1),"
                                            " f AS (DELETE FROM stride_catalog.dropped_index WHERE job_id = $1),"
                                            " g AS (DELETE FROM stride_catalog.leaf WHERE job_id = $1)"
                                            " DELETE FROM stride_catalog.job WHERE job_id = $1",
                                            1,
                                            {INT8OID},
                                            nullptr};

} // namespace

void set_state(int64 job_id, core::JobState state, const char *reason) {
    pg::run_fixed(update_state, {pg::arg_int64(job_id), pg::arg_text(core::name(state)), pg::arg_text(reason)});
}

void set_reason(int64 job_id, const char *reason) {
    pg::run_fixed(update_reason, {pg::arg_int64(job_id), pg::arg_text(reason)});
}

void mark_started(int64 job_id, int64 rows_before) {
    pg::run_fixed(update_started, {pg::arg_int64(job_id), pg::arg_int64(rows_before)});
}

void mark_finished(int64 job_id, core::JobState state) {
    pg::run_fixed(update_finished, {pg::arg_int64(job_id), pg::arg_text(core::name(state))});
}

void mark_requeued(int64 job_id, const Home &home) {
    pg::run_fixed(update_requeued, {pg::arg_int64(job_id), pg::arg_int64(home.system_identifier),
                                    pg::arg(ObjectIdGetDatum(home.database)), pg::arg(ObjectIdGetDatum(home.extension)),
                                    pg::arg_int32(home.timeline)});
    pg::run_fixed(requeue_splits, {pg::arg_int64(job_id)});
}

void set_failed_starts(int64 job_id, int32 failed_starts) {
    pg::run_fixed(update_failed_starts, {pg::arg_int64(job_id), pg::arg_int32(failed_starts)});
}

void alter_job(int64 job_id, Jsonb *arguments) {
    pg::run_fixed(update_altered, {pg::arg_int64(job_id), pg::arg(JsonbPGetDatum(arguments))});
}

void move_home(int64 job_id, const Home &home) {
    pg::run_fixed(update_home, {pg::arg_int64(job_id), pg::arg_int64(home.system_identifier),
                                pg::arg(ObjectIdGetDatum(home.database)), pg::arg(ObjectIdGetDatum(home.extension)),
                                pg::arg_int32(home.timeline)});
}

void rebind(const Job &job) {
    NameData owner_name;
    namestrcpy(&owner_name, job.owner_name);
    pg::run_fixed(update_bindings, {pg::arg_int64(job.job_id), pg::arg(ObjectIdGetDatum(job.source)),
                                    OidIsValid(job.target) ? pg::arg(ObjectIdGetDatum(job.target)) : pg::null_arg(),
                                    pg::arg_array(job.relations), pg::arg(NameGetDatum(&owner_name))});
}

void rebind_target(int64 job_id, Oid target) {
    pg::run_fixed(update_target, {pg::arg_int64(job_id), pg::arg(ObjectIdGetDatum(target))});
}

void repin(const Job &job) {
    pg::run_fixed(update_pin, {pg::arg_int64(job.job_id), pg::arg(ObjectIdGetDatum(job.transform_oid)),
                               pg::arg_int64(job.transform_version)});
}

void copy_failure_to_job(int64 job_id) {
    pg::run_fixed(copy_failure, {pg::arg_int64(job_id)});
}

void purge_history(int retention_minutes) {
    List *expired = NIL;
    pg::read_fixed(select_expired, {pg::arg_int32(retention_minutes)}, [&](const pg::Row &row) {
        int64 *job_id = static_cast<int64 *>(palloc(sizeof(int64)));
        *job_id = row.int64_or(1, 0);
        expired = lappend(expired, job_id);
    });
    ListCell *cell;
    foreach (cell, expired)
        delete_job(*static_cast<int64 *>(lfirst(cell)));
    pg::run_fixed(delete_old_chunks, {});
}

void delete_job(int64 job_id) {
    pg::run_fixed(delete_rows, {pg::arg_int64(job_id)});
}

} // namespace stride::catalog
