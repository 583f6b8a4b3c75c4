// stride_catalog.dropped_index.
// Regime: pg.  Row locks on dropped_index, never waited for.
#include "catalog/dropped_index.hpp"

#include "catalog/request.hpp"

namespace stride::catalog {
namespace {

constinit pg::FixedStatement insert_row = {
    "INSERT INTO stride_catalog.dropped_index (job_id, index_name, definition, comment, statistics, dropped_at)"
    " VALUES ($1, $2, $3, $4, $5, clock_timestamp())",
    5,
    {INT8OID, NAMEOID, TEXTOID, TEXTOID, INT4ARRAYOID},
    nullptr};

constinit pg::FixedStatement lock_due = {
    "SELECT index_name, definition, comment, statistics, attempts FROM stride_catalog.dropped_index"
    " WHERE job_id = $1 AND state = 'dropped' AND coalesce(not_before <= clock_timestamp(), true)"
    " ORDER BY index_name LIMIT 1 FOR UPDATE SKIP LOCKED",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement update_settled = {
    "UPDATE stride_catalog.dropped_index SET state = $3, settled_at = clock_timestamp(), rebuild_ms = $4,"
    " not_before = NULL, error_sqlstate = NULL, error_message = NULL WHERE job_id = $1 AND index_name = $2",
    4,
    {INT8OID, NAMEOID, TEXTOID, FLOAT8OID},
    nullptr};

constinit pg::FixedStatement update_error = {
    "UPDATE stride_catalog.dropped_index SET state = $3, attempts = attempts + 1,"
    " not_before = clock_timestamp() + $4 * interval '1 ms', error_sqlstate = $5, error_message = $6"
    " WHERE ctid = (SELECT ctid FROM stride_catalog.dropped_index WHERE job_id = $1 AND index_name = $2"
    " AND state = 'dropped' FOR UPDATE SKIP LOCKED)",
    6,
    {INT8OID, NAMEOID, TEXTOID, FLOAT8OID, TEXTOID, TEXTOID},
    nullptr};

constinit pg::FixedStatement select_counts = {
    "SELECT count(*) FILTER (WHERE state = 'dropped'),"
    " count(*) FILTER (WHERE state = 'dropped' AND coalesce(not_before <= clock_timestamp(), true)),"
    " count(*) FILTER (WHERE state = 'failed') FROM stride_catalog.dropped_index WHERE job_id = $1",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement update_given_up = {
    "UPDATE stride_catalog.dropped_index SET state = 'failed', error_message = $2"
    " WHERE job_id = $1 AND state = 'dropped'",
    2,
    {INT8OID, TEXTOID},
    nullptr};

constinit pg::FixedStatement update_taken_up = {
    "UPDATE stride_catalog.dropped_index SET state = 'dropped', attempts = 0, not_before = NULL"
    " WHERE job_id = $1 AND state IN ('dropped', 'failed')",
    1,
    {INT8OID},
    nullptr};

constexpr Actor ourselves = {nullptr, nullptr};

NullableDatum arg_index(const DroppedIndex &dropped) {
    Name name = static_cast<Name>(palloc(sizeof(NameData)));
    namestrcpy(name, dropped.name);
    return pg::arg(NameGetDatum(name));
}

void settle(const DroppedIndex &dropped, const char *state, NullableDatum rebuild_ms, const char *note) {
    pg::run_fixed(update_settled, {pg::arg_int64(dropped.job_id), arg_index(dropped), pg::arg_text(state), rebuild_ms});
    if (note != nullptr) append_event(dropped.job_id, ourselves, "index", nullptr, nullptr, note);
}

void note_error(const DroppedIndex &dropped, const char *state, NullableDatum delay_ms, const ErrorData *error) {
    pg::run_fixed(update_error, {pg::arg_int64(dropped.job_id), arg_index(dropped), pg::arg_text(state), delay_ms,
                                 pg::arg_text(unpack_sql_state(error->sqlerrcode)), pg::arg_text(error->message)});
}

} // namespace

void insert_dropped_index(const DroppedIndex &dropped) {
    pg::run_fixed(insert_row, {pg::arg_int64(dropped.job_id), arg_index(dropped), pg::arg_text(dropped.definition),
                               pg::arg_text(dropped.comment), pg::arg_array(dropped.statistics)});
}

bool claim_dropped_index(int64 job_id, DroppedIndex *claimed) {
    return pg::read_fixed(lock_due, {pg::arg_int64(job_id)}, [&](const pg::Row &row) {
               *claimed = DroppedIndex{job_id, row.text(1), row.text(2), row.text(3), row.array(4), row.int32_or(5, 0)};
           }) > 0;
}

void mark_rebuilt(const DroppedIndex &dropped, double rebuild_ms, const char *note) {
    settle(dropped, "rebuilt", pg::arg(Float8GetDatum(rebuild_ms)), note);
}

void mark_abandoned(const DroppedIndex &dropped, const char *note) {
    settle(dropped, "abandoned", pg::null_arg(), note);
}

void back_off_rebuild(const DroppedIndex &dropped, double delay_ms, const ErrorData *error) {
    note_error(dropped, "dropped", pg::arg(Float8GetDatum(delay_ms)), error);
}

void mark_rebuild_failed(const DroppedIndex &dropped, const ErrorData *error) {
    note_error(dropped, "failed", pg::null_arg(), error);
}

DroppedIndexCounts count_dropped_indexes(int64 job_id) {
    DroppedIndexCounts counts = {};
    pg::read_fixed(select_counts, {pg::arg_int64(job_id)}, [&](const pg::Row &row) {
        counts = DroppedIndexCounts{row.int64_or(1, 0), row.int64_or(2, 0), row.int64_or(3, 0)};
    });
    return counts;
}

void fail_dropped_indexes(int64 job_id, const char *message) {
    pg::run_fixed(update_given_up, {pg::arg_int64(job_id), pg::arg_text(message)});
}

void retry_dropped_indexes(int64 job_id) {
    pg::run_fixed(update_taken_up, {pg::arg_int64(job_id)});
}

} // namespace stride::catalog
