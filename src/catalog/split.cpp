// stride_catalog.split: the worker's claim, fence and checkpoint.
// Regime: pg.  Row locks on split rows of one job.
#include "catalog/split.hpp"

#include "pg/clock.hpp"
#include "shared/crash_mark.hpp"
#include "shared/worker_slots.hpp"

namespace stride::catalog {
namespace {

#define CLAIM_COLUMNS                                                                                                  \
    "SELECT split, state, cookie, epoch, lower_key, position_key, upper_key, chunks, attempts,"                        \
    " coalesce(extract(epoch FROM not_before - $2) * 1000, 0)::double precision, last_error, crashes, suspect_rows,"   \
    " chunk_limit, leaf"                                                                                               \
    " FROM stride_catalog.split"

// The next one that nobody has; the others are looked at only when there is none, as a job may have thousands.
constinit pg::FixedStatement select_free = {
    CLAIM_COLUMNS " WHERE job_id = $1 AND state = 'pending' AND (not_before IS NULL OR not_before <= $2)"
                  " ORDER BY split LIMIT 1 FOR UPDATE SKIP LOCKED",
    2,
    {INT8OID, TIMESTAMPTZOID},
    nullptr};

constinit pg::FixedStatement select_candidates = {
    CLAIM_COLUMNS " WHERE job_id = $1 AND state IN ('pending', 'running') ORDER BY state, split FOR UPDATE SKIP LOCKED",
    2,
    {INT8OID, TIMESTAMPTZOID},
    nullptr};

constinit pg::FixedStatement update_claim = {
    "UPDATE stride_catalog.split SET state = 'running', epoch = epoch + 1, cookie = $3, worker_pid = pg_backend_pid(),"
    " chunk_limit = $4, crashes = $5, suspect_rows = $6 WHERE job_id = $1 AND split = $2",
    6,
    {INT8OID, INT4OID, INT8OID, INT8OID, INT4OID, INT8OID},
    nullptr};

constinit pg::FixedStatement select_fence = {
    "SELECT lower_key, position_key, upper_key, chunks, attempts, suspect_rows FROM stride_catalog.split"
    " WHERE job_id = $1 AND split = $2 AND epoch = $3 AND state = 'running' FOR UPDATE",
    3,
    {INT8OID, INT4OID, INT8OID},
    nullptr};

constinit pg::FixedStatement update_checkpoint = {
    "WITH advanced AS ("
    " UPDATE stride_catalog.split SET position_key = $6, state = CASE WHEN $7 THEN 'done' ELSE state END,"
    " cookie = CASE WHEN $7 THEN NULL ELSE cookie END, chunks = chunks + 1, attempts = 0, not_before = NULL,"
    " last_error = NULL, retries = retries + $24, chunk_limit = $25,"
    " crashes = CASE WHEN suspect_rows > $10 + $23 AND NOT $7 THEN crashes ELSE 0 END,"
    " suspect_rows = CASE WHEN $7 THEN 0 ELSE greatest(suspect_rows - $10 - $23, 0) END, rows_read = rows_read + $10 + "
    "$23,"
    " rows_rejected = rows_rejected + $23, rows_written = rows_written + $11, rows_filtered = rows_filtered + $12,"
    " rows_suppressed = rows_suppressed + $26, rows_vanished = rows_vanished + $27,"
    " plan_ms = plan_ms + $14, read_ms = read_ms + $15, transform_ms = transform_ms + $16, write_ms = write_ms + $17,"
    " index_ms = index_ms + $18, checkpoint_ms = checkpoint_ms + $19, commit_ms = commit_ms + $20,"
    " wait_ms = wait_ms + $21, wal_bytes = wal_bytes + $22"
    " WHERE job_id = $1 AND split = $2 AND epoch = $3 AND position_key IS NOT DISTINCT FROM $4 AND upper_key = $5"
    " RETURNING chunks)"
    " INSERT INTO stride_catalog.chunk (job_id, split, chunk, lower_key, upper_key, worker, attempt, epoch, rows_read,"
    " rows_written, rows_filtered, rows_rejected, rows_suppressed, rows_vanished, started_at, finished_at, plan_ms, "
    "read_ms,"
    " transform_ms, write_ms, index_ms, checkpoint_ms, commit_ms, wait_ms, wal_bytes)"
    " SELECT $1, $2, chunks, $4, $6, $8, $9, $3, $10, $11, $12, $23, $26, $27, $13, clock_timestamp(), $14, $15, $16, "
    "$17,"
    " $18, $19, $20, $21, $22"
    " FROM advanced",
    27,
    {INT8OID,   INT4OID,   INT8OID,   TEXTARRAYOID,   TEXTARRAYOID, TEXTARRAYOID, BOOLOID,   INT4OID,   INT4OID,
     INT8OID,   INT8OID,   INT8OID,   TIMESTAMPTZOID, FLOAT8OID,    FLOAT8OID,    FLOAT8OID, FLOAT8OID, FLOAT8OID,
     FLOAT8OID, FLOAT8OID, FLOAT8OID, INT8OID,        INT8OID,      INT4OID,      INT8OID,   INT8OID,   INT8OID},
    nullptr};

constinit pg::FixedStatement update_back_off = {
    "UPDATE stride_catalog.split SET state = 'pending', cookie = NULL, worker_pid = NULL, retries = retries + $6,"
    " attempts = attempts + 1, not_before = $4, last_error = $5"
    " WHERE job_id = $1 AND split = $2 AND epoch = $3 AND state = 'running'",
    6,
    {INT8OID, INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, INT4OID},
    nullptr};

constinit pg::FixedStatement update_give_back = {
    "UPDATE stride_catalog.split SET state = 'pending', cookie = NULL, worker_pid = NULL, retries = retries + $4"
    " WHERE job_id = $1 AND split = $2 AND epoch = $3 AND state = 'running'",
    4,
    {INT8OID, INT4OID, INT8OID, INT4OID},
    nullptr};

// A running split whose worker still lives is not to be claimed.  Read after the row's lock was taken: whoever claimed
// it before had registered its cookie before that.
bool is_claimable(const pg::Row &row) {
    char *state = row.text(2);
    if (strcmp(state, "pending") == 0) return row.double_or(10, 0) <= 0;
    return !shared::is_live(row.int64_or(3, 0));
}

// True if the split's last worker died in a crash of its own making.
bool crashed(const pg::Row &row) {
    return strcmp(row.text(2), "running") == 0 && shared::has_crash_mark(row.int64_or(3, 0));
}

// Locks what the statement finds, and chooses the first split that can be claimed, as it will be once it is.
bool choose(pg::FixedStatement &statement, int64 job_id, Split *chosen, BackOff *back_off) {
    bool found = false;
    const auto look = [&](const pg::Row &row) {
        if (found) return;
        const double wait_ms = row.double_or(10, 0);
        if (!is_claimable(row)) {
            if (wait_ms > 0 && (back_off->ms < 0 || wait_ms < back_off->ms))
                *back_off = BackOff{wait_ms, row.int32_or(9, 0), row.text(11)};
            return;
        }
        found = true;
        *chosen = Split{job_id,
                        row.int32_or(1, 0),
                        row.int32_or(15, 0),
                        row.int64_or(4, 0) + 1,
                        row.array(5),
                        row.array(6),
                        row.array(7),
                        row.int32_or(8, 0),
                        row.int32_or(9, 0),
                        row.int32_or(12, 0),
                        row.int64_or(13, 0),
                        0};
        if (!crashed(row)) return;
        chosen->crashes++;
        chosen->crashed_cookie = row.int64_or(3, 0);
        chosen->suspect_rows = Max(1, 2 * row.int64_or(14, 0));
    };
    pg::read_fixed(statement, {pg::arg_int64(job_id), pg::arg(TimestampTzGetDatum(pg::now()))}, look);
    return found;
}

void write_claim(const Split &split, int64 cookie, int64 limit) {
    // A worker that crashes in its first chunk leaves this limit behind: the next one's suspicion is no wider than the
    // chunk was.
    limit = limit_of_suspects(limit, split.suspect_rows);
    pg::run_fixed(update_claim,
                  {pg::arg_int64(split.job_id), pg::arg_int32(split.split), pg::arg_int64(cookie), pg::arg_int64(limit),
                   pg::arg_int32(split.crashes), pg::arg_int64(split.suspect_rows)});
}

} // namespace

bool claim_split(int64 job_id, int64 cookie, int64 limit, Split *claimed, BackOff *back_off) {
    *back_off = BackOff{-1, 0, nullptr};
    if (!choose(select_free, job_id, claimed, back_off) && !choose(select_candidates, job_id, claimed, back_off))
        return false;
    write_claim(*claimed, cookie, limit);
    return true;
}

bool claim_free_split(int64 job_id, int64 cookie, int64 limit, Split *claimed) {
    BackOff unused = {-1, 0, nullptr};
    if (!choose(select_free, job_id, claimed, &unused)) return false;
    write_claim(*claimed, cookie, limit);
    return true;
}

bool fence(Split *split) {
    bool ours = false;
    pg::read_fixed(select_fence,
                   {pg::arg_int64(split->job_id), pg::arg_int32(split->split), pg::arg_int64(split->epoch)},
                   [&](const pg::Row &row) {
                       ours = true;
                       split->lower = row.array(1);
                       split->position = row.array(2);
                       split->upper = row.array(3);
                       split->chunks = row.int32_or(4, 0);
                       split->attempts = row.int32_or(5, 0);
                       split->suspect_rows = row.int64_or(6, 0);
                   });
    return ours;
}

bool write_checkpoint(const Split &split, const Checkpoint &checkpoint) {
    const uint64 written = pg::run_fixed(update_checkpoint, {pg::arg_int64(split.job_id),
                                                             pg::arg_int32(split.split),
                                                             pg::arg_int64(split.epoch),
                                                             pg::arg_array(split.position),
                                                             pg::arg_array(split.upper),
                                                             pg::arg_array(checkpoint.position),
                                                             pg::arg(BoolGetDatum(checkpoint.done)),
                                                             pg::arg_int32(checkpoint.worker),
                                                             pg::arg_int32(checkpoint.attempt),
                                                             pg::arg_int64(checkpoint.rows_read),
                                                             pg::arg_int64(checkpoint.rows_written),
                                                             pg::arg_int64(checkpoint.rows_filtered),
                                                             pg::arg(TimestampTzGetDatum(checkpoint.started_at)),
                                                             pg::arg(Float8GetDatum(checkpoint.plan_ms)),
                                                             pg::arg(Float8GetDatum(checkpoint.read_ms)),
                                                             pg::arg(Float8GetDatum(checkpoint.transform_ms)),
                                                             pg::arg(Float8GetDatum(checkpoint.write_ms)),
                                                             pg::arg(Float8GetDatum(checkpoint.index_ms)),
                                                             pg::arg(Float8GetDatum(checkpoint.checkpoint_ms)),
                                                             pg::arg(Float8GetDatum(checkpoint.commit_ms)),
                                                             pg::arg(Float8GetDatum(checkpoint.wait_ms)),
                                                             pg::arg_int64(checkpoint.wal_bytes),
                                                             pg::arg_int64(checkpoint.rows_rejected),
                                                             pg::arg_int32(checkpoint.retries),
                                                             pg::arg_int64(checkpoint.limit),
                                                             pg::arg_int64(checkpoint.rows_suppressed),
                                                             pg::arg_int64(checkpoint.rows_vanished)});
    return written == 1;
}

void back_off(const Split &split, double delay_ms, const char *error, int32 retries) {
    const TimestampTz not_before = pg::now() + static_cast<int64>(delay_ms * 1000);
    pg::run_fixed(update_back_off,
                  {pg::arg_int64(split.job_id), pg::arg_int32(split.split), pg::arg_int64(split.epoch),
                   pg::arg(TimestampTzGetDatum(not_before)), pg::arg_text(error), pg::arg_int32(retries)});
}

void give_back(const Split &split, int32 retries) {
    pg::run_fixed(update_give_back, {pg::arg_int64(split.job_id), pg::arg_int32(split.split),
                                     pg::arg_int64(split.epoch), pg::arg_int32(retries)});
}

} // namespace stride::catalog
