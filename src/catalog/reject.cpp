// stride_catalog.reject.
// Regime: pg.
#include "catalog/reject.hpp"

namespace stride::catalog {
namespace {

constinit pg::FixedStatement insert_row = {
    "INSERT INTO stride_catalog.reject (job_id, split, chunk, row_key, row_data, rejected_at, sqlstate, message, "
    "detail,"
    " hint, context, schema_name, table_name, column_name, constraint_name)"
    " VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    14,
    {INT8OID, INT4OID, INT4OID, TEXTARRAYOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
     TEXTOID, TEXTOID},
    nullptr};

constinit pg::FixedStatement select_any = {
    "SELECT 1 FROM stride_catalog.reject WHERE job_id = $1 LIMIT 1", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement select_counts = {
    "SELECT coalesce(sum(rows_read), 0)::bigint, coalesce(sum(rows_rejected), 0)::bigint FROM stride_catalog.split"
    " WHERE job_id = $1",
    1,
    {INT8OID},
    nullptr};

constexpr uint16 counts_lock = 3; // beside those of a job's name and statement at submission

} // namespace

void insert_reject(const Reject &reject) {
    const ErrorData *error = reject.error;
    pg::run_fixed(insert_row, {pg::arg_int64(reject.job_id), pg::arg_int32(reject.split), pg::arg_int32(reject.chunk),
                               pg::arg_array(reject.row_key),
                               reject.row_data == nullptr ? pg::null_arg() : pg::arg(JsonbPGetDatum(reject.row_data)),
                               pg::arg_text(unpack_sql_state(error->sqlerrcode)),
                               pg::arg_text(error->message == nullptr ? "" : error->message),
                               pg::arg_text(error->detail), pg::arg_text(error->hint), pg::arg_text(error->context),
                               pg::arg_text(error->schema_name), pg::arg_text(error->table_name),
                               pg::arg_text(error->column_name), pg::arg_text(error->constraint_name)});
}

bool has_rejects(int64 job_id) {
    return pg::run_fixed(select_any, {pg::arg_int64(job_id)}) > 0;
}

RejectCounts lock_counts(int64 job_id) {
    LockDatabaseObject(ExtensionRelationId, static_cast<Oid>(job_id), counts_lock, ExclusiveLock);
    RejectCounts counts = {};
    pg::read_fixed(select_counts, {pg::arg_int64(job_id)}, [&](const pg::Row &row) {
        counts = RejectCounts{row.int64_or(1, 0), row.int64_or(2, 0)};
    });
    return counts;
}

} // namespace stride::catalog
