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

constinit pg::FixedStatement delete_all = {
    "DELETE FROM stride_catalog.reject WHERE job_id = $1", 1, {INT8OID}, nullptr};

// Those of a leaf: the split that rejected a row says of which.
#define OF_LEAF(leaf)                                                                                                  \
    " job_id = $1 AND split IN (SELECT s.split FROM stride_catalog.split AS s WHERE s.job_id = $1 AND s.leaf = " leaf  \
    ")"

constinit pg::FixedStatement select_parts = {
    "SELECT max(reject_id), count(*) FROM ("
    " SELECT reject_id, ntile(least($3, greatest(1, (n / $2)::integer))) OVER (ORDER BY reject_id) AS part FROM ("
    "  SELECT reject_id, count(*) OVER () AS n FROM stride_catalog.reject WHERE" OF_LEAF(
        "$4") ") AS counted) AS cut"
              " GROUP BY part ORDER BY part",
    4,
    {INT8OID, INT8OID, INT4OID, INT4OID},
    nullptr};

constinit pg::FixedStatement select_rejects = {
    "SELECT reject_id, row_key FROM stride_catalog.reject WHERE" OF_LEAF("$5") " AND reject_id > $2 AND reject_id <= $3"
                                                                               " ORDER BY reject_id LIMIT $4",
    5,
    {INT8OID, INT8OID, INT8OID, INT8OID, INT4OID},
    nullptr};

constinit pg::FixedStatement delete_rows = {
    "DELETE FROM stride_catalog.reject WHERE reject_id = ANY ($1)", 1, {INT8ARRAYOID}, nullptr};

constinit pg::FixedStatement update_row = {
    "UPDATE stride_catalog.reject SET row_data = $2, rejected_at = clock_timestamp(), attempt = attempt + 1,"
    " sqlstate = $3, message = $4, detail = $5, hint = $6, context = $7, schema_name = $8, table_name = $9,"
    " column_name = $10, constraint_name = $11 WHERE reject_id = $1",
    11,
    {INT8OID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
    nullptr};

constinit pg::FixedStatement select_counts = {
    "SELECT coalesce(sum(rows_read), 0)::bigint, coalesce(sum(rows_rejected), 0)::bigint FROM stride_catalog.split"
    " WHERE job_id = $1",
    1,
    {INT8OID},
    nullptr};

constexpr uint16 counts_lock = 3; // beside those of a job's name and statement at submission

NullableDatum data_arg(const Reject &reject) {
    return reject.row_data == nullptr ? pg::null_arg() : pg::arg(JsonbPGetDatum(reject.row_data));
}

NullableDatum message_arg(const ErrorData *error) {
    return pg::arg_text(error->message == nullptr ? "" : error->message);
}

} // namespace

void insert_reject(const Reject &reject) {
    const ErrorData *error = reject.error;
    pg::run_fixed(insert_row,
                  {pg::arg_int64(reject.job_id), pg::arg_int32(reject.split), pg::arg_int32(reject.chunk),
                   pg::arg_array(reject.row_key), data_arg(reject), pg::arg_text(unpack_sql_state(error->sqlerrcode)),
                   message_arg(error), pg::arg_text(error->detail), pg::arg_text(error->hint),
                   pg::arg_text(error->context), pg::arg_text(error->schema_name), pg::arg_text(error->table_name),
                   pg::arg_text(error->column_name), pg::arg_text(error->constraint_name)});
}

bool has_rejects(int64 job_id) {
    return pg::run_fixed(select_any, {pg::arg_int64(job_id)}) > 0;
}

uint64 discard_rejects(int64 job_id) {
    return pg::run_fixed(delete_all, {pg::arg_int64(job_id)});
}

List *cut_rejects(int64 job_id, int32 leaf, int64 least, int most_parts) {
    List *parts = NIL;
    pg::read_fixed(select_parts,
                   {pg::arg_int64(job_id), pg::arg_int64(least), pg::arg_int32(most_parts), pg::arg_int32(leaf)},
                   [&](const pg::Row &row) {
                       RejectPart *part = static_cast<RejectPart *>(palloc(sizeof(RejectPart)));
                       *part = RejectPart{row.int64_or(1, 0), row.int64_or(2, 0)};
                       parts = lappend(parts, part);
                   });
    return parts;
}

RejectedKeys read_rejects(int64 job_id, int32 leaf, int64 after, int64 last, int64 limit) {
    RejectedKeys found = {};
    found.ids = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(limit)));
    pg::read_fixed(
        select_rejects,
        {pg::arg_int64(job_id), pg::arg_int64(after), pg::arg_int64(last), pg::arg_int64(limit), pg::arg_int32(leaf)},
        [&](const pg::Row &row) {
            found.ids[found.count++] = Int64GetDatum(row.int64_or(1, 0));
            found.keys = lappend(found.keys, row.array(2));
        });
    return found;
}

void delete_rejects(const RejectedKeys &passed) {
    ArrayType *ids =
        construct_array(passed.ids, passed.count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
    pg::run_fixed(delete_rows, {pg::arg_array(ids)});
}

void fail_reject(int64 reject_id, const Reject &again) {
    const ErrorData *error = again.error;
    pg::run_fixed(update_row,
                  {pg::arg_int64(reject_id), data_arg(again), pg::arg_text(unpack_sql_state(error->sqlerrcode)),
                   message_arg(error), pg::arg_text(error->detail), pg::arg_text(error->hint),
                   pg::arg_text(error->context), pg::arg_text(error->schema_name), pg::arg_text(error->table_name),
                   pg::arg_text(error->column_name), pg::arg_text(error->constraint_name)});
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
