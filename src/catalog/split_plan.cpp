// stride_catalog.split and sample: the plan of a job, halving, and the scheduler's counts.
// Regime: pg.  Row locks on split rows; raise_epochs does not wait for them.
#include "catalog/split.hpp"

#include "pg/clock.hpp"
#include "shared/worker_slots.hpp"

namespace stride::catalog {
namespace {

constinit pg::FixedStatement insert_sample_row = {
    "INSERT INTO stride_catalog.sample (job_id, ordinal, key) VALUES ($1, $2, $3)",
    3,
    {INT8OID, INT4OID, TEXTARRAYOID},
    nullptr};

constinit pg::FixedStatement insert_split_row = {
    "INSERT INTO stride_catalog.split (job_id, split, leaf, lower_key, position_key, upper_key, lower_sample,"
    " upper_sample, rows_estimate) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)",
    8,
    {INT8OID, INT4OID, INT4OID, TEXTARRAYOID, TEXTARRAYOID, INT4OID, INT4OID, INT8OID},
    nullptr};

constinit pg::FixedStatement insert_done_row = {
    "INSERT INTO stride_catalog.split (job_id, split, leaf, upper_key, lower_sample, upper_sample, rows_estimate,"
    " state) VALUES ($1, 1, 1, '{}', -1, 0, 0, 'done')",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement select_has_plan = {
    "SELECT 1 FROM stride_catalog.split WHERE job_id = $1 LIMIT 1", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement select_last_number = {
    "SELECT max(upper_key[1]::bigint) FROM stride_catalog.split WHERE job_id = $1 AND leaf < $2",
    2,
    {INT8OID, INT4OID},
    nullptr};

constinit pg::FixedStatement select_touched = {
    "SELECT 1 FROM stride_catalog.split WHERE job_id = $1 AND epoch > 0 LIMIT 1", 1, {INT8OID}, nullptr};

// Who had a split stays written there, so that whoever claims it next sees how that one ended.
constinit pg::FixedStatement rewind_splits = {
    "WITH chunks AS (DELETE FROM stride_catalog.chunk WHERE job_id = $1),"
    " rejects AS (DELETE FROM stride_catalog.reject WHERE job_id = $1)"
    " UPDATE stride_catalog.split SET state = CASE WHEN state = 'done' THEN 'pending' ELSE state END, epoch = epoch + "
    "1,"
    " position_key = lower_key, chunks = 0, attempts = 0, retries = 0, not_before = NULL, last_error = NULL,"
    " rows_read = 0, rows_written = 0, rows_filtered = 0, rows_suppressed = 0, rows_rejected = 0,"
    " plan_ms = 0, read_ms = 0, transform_ms = 0, write_ms = 0, index_ms = 0, checkpoint_ms = 0, commit_ms = 0,"
    " wait_ms = 0, wal_bytes = 0 WHERE job_id = $1",
    1,
    {INT8OID},
    nullptr};

constinit pg::FixedStatement select_halvable = {"SELECT split FROM stride_catalog.split WHERE job_id = $1 AND state = "
                                                "'running' AND upper_sample - lower_sample > 1 AND suspect_rows = 0"
                                                " ORDER BY rows_estimate - rows_read DESC",
                                                1,
                                                {INT8OID},
                                                nullptr};

constinit pg::FixedStatement read_halvable = {
    "SELECT position_key, upper_key, lower_sample, upper_sample, rows_estimate, rows_read, leaf, chunk_limit"
    " FROM stride_catalog.split WHERE job_id = $1 AND split = $2 AND state = 'running'",
    2,
    {INT8OID, INT4OID},
    nullptr};

constinit pg::FixedStatement lock_halvable = {
    "SELECT position_key, upper_key, lower_sample, upper_sample, rows_estimate, rows_read, leaf, chunk_limit"
    " FROM stride_catalog.split WHERE job_id = $1 AND split = $2 AND state = 'running' FOR UPDATE",
    2,
    {INT8OID, INT4OID},
    nullptr};

constinit pg::FixedStatement select_samples = {"SELECT ordinal, key FROM stride_catalog.sample WHERE job_id = $1 AND "
                                               "ordinal > $2 AND ordinal < $3 ORDER BY ordinal",
                                               3,
                                               {INT8OID, INT4OID, INT4OID},
                                               nullptr};

constinit pg::FixedStatement update_upper = {"UPDATE stride_catalog.split SET upper_key = $3, upper_sample = $4, "
                                             "rows_estimate = $5 WHERE job_id = $1 AND split = $2",
                                             5,
                                             {INT8OID, INT4OID, TEXTARRAYOID, INT4OID, INT8OID},
                                             nullptr};

constinit pg::FixedStatement insert_upper_half = {
    "INSERT INTO stride_catalog.split (job_id, split, leaf, lower_key, position_key, upper_key, lower_sample,"
    " upper_sample, rows_estimate) SELECT $1, max(split) + 1, $7, $2, $2, $3, $4, $5, $6 FROM stride_catalog.split"
    " WHERE job_id = $1",
    7,
    {INT8OID, TEXTARRAYOID, TEXTARRAYOID, INT4OID, INT4OID, INT8OID, INT4OID},
    nullptr};

constinit pg::FixedStatement select_states = {
    "SELECT state = 'done', state = 'running', cookie, not_before > $2,"
    " upper_sample - lower_sample > 1 AND suspect_rows = 0 AND rows_estimate - rows_read > chunk_limit, rows_rejected,"
    " rows_read, rows_estimate"
    " FROM stride_catalog.split WHERE job_id = $1",
    2,
    {INT8OID, TIMESTAMPTZOID},
    nullptr};

constinit pg::FixedStatement lock_all = {
    "SELECT split FROM stride_catalog.split WHERE job_id = $1 FOR UPDATE SKIP LOCKED", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement update_epochs = {
    "UPDATE stride_catalog.split SET epoch = epoch + 1, cookie = NULL, worker_pid = NULL,"
    " state = CASE WHEN state = 'running' THEN 'pending' ELSE state END WHERE job_id = $1",
    1,
    {INT8OID},
    nullptr};

struct SampledKey {
    int32 ordinal;
    ArrayType *key;
};

struct Halvable {
    int32 leaf;
    ArrayType *position;
    ArrayType *upper;
    int32 lower_sample;
    int32 upper_sample;
    int64 rows_read;
    int64 rows_estimate;
    int64 chunk_limit; // the rows that its worker's present chunk, or the one before, may have
};

// The split as it stands, by either of the two statements; false if it does not run any more.
bool look_at(pg::FixedStatement &statement, int64 job_id, int32 split, Halvable *found) {
    return pg::read_fixed(statement, {pg::arg_int64(job_id), pg::arg_int32(split)}, [&](const pg::Row &row) {
               *found = Halvable{row.int32_or(7, 0), row.array(1),       row.array(2),       row.int32_or(3, 0),
                                 row.int32_or(4, 0), row.int64_or(6, 0), row.int64_or(5, 0), row.int64_or(8, 0)};
           }) > 0;
}

// The stored keys strictly between position and upper; *count is set.
SampledKey *keys_ahead(int64 job_id, const Halvable &split, CompareKeys compare, void *context, int *count) {
    SampledKey *keys = static_cast<SampledKey *>(
        palloc(sizeof(SampledKey) * static_cast<Size>(Max(1, split.upper_sample - split.lower_sample))));
    int stored = 0;
    pg::read_fixed(select_samples,
                   {pg::arg_int64(job_id), pg::arg_int32(split.lower_sample), pg::arg_int32(split.upper_sample)},
                   [&](const pg::Row &row) {
                       keys[stored++] = SampledKey{row.int32_or(1, 0), row.array(2)};
                   });
    int ahead = 0;
    for (int i = 0; i < stored; i++) {
        if (split.position != nullptr && compare(split.leaf, keys[i].key, split.position, context) <= 0) continue;
        if (compare(split.leaf, keys[i].key, split.upper, context) >= 0) continue;
        keys[ahead++] = keys[i];
    }
    *count = ahead;
    return keys;
}

// What its worker does in one chunk is not shared: the other half would cost more than it saves.  The keys tell how
// much is ahead even where the estimate was too low.
bool is_worth_halving(const Halvable &split, int ahead) {
    return ahead > 0 && split.rows_estimate * ahead / (split.upper_sample - split.lower_sample) > split.chunk_limit;
}

bool halve(int64 job_id, int32 split, CompareKeys compare, void *context) {
    Halvable half = {};
    if (!look_at(lock_halvable, job_id, split, &half)) return false;
    int ahead;
    const SampledKey *keys = keys_ahead(job_id, half, compare, context, &ahead);
    if (!is_worth_halving(half, ahead)) return false;
    const SampledKey &middle = keys[ahead / 2];
    const int64 rows_left = Max(static_cast<int64>(0), half.rows_estimate - half.rows_read);
    const int64 moved = rows_left / 2;
    pg::run_fixed(update_upper, {pg::arg_int64(job_id), pg::arg_int32(split), pg::arg_array(middle.key),
                                 pg::arg_int32(middle.ordinal), pg::arg_int64(half.rows_read + rows_left - moved)});
    pg::run_fixed(insert_upper_half, {pg::arg_int64(job_id), pg::arg_array(middle.key), pg::arg_array(half.upper),
                                      pg::arg_int32(middle.ordinal), pg::arg_int32(half.upper_sample),
                                      pg::arg_int64(moved), pg::arg_int32(half.leaf)});
    return true;
}

} // namespace

ArrayType *number_key(int64 number) {
    Datum text = CStringGetTextDatum(psprintf(INT64_FORMAT, number));
    return construct_array(&text, 1, TEXTOID, -1, false, TYPALIGN_INT);
}

int64 key_number(ArrayType *key) {
    if (key == nullptr) return 0;
    Datum *elements;
    int count;
    deconstruct_array(key, TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &count);
    if (count != 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("a position that should be a number is none")));
    return pg_strtoint64(TextDatumGetCString(elements[0]));
}

void insert_sample(int64 job_id, int32 ordinal, ArrayType *key) {
    pg::run_fixed(insert_sample_row, {pg::arg_int64(job_id), pg::arg_int32(ordinal), pg::arg_array(key)});
}

void insert_split(int64 job_id, int32 split, const NewSplit &fresh) {
    pg::run_fixed(insert_split_row,
                  {pg::arg_int64(job_id), pg::arg_int32(split), pg::arg_int32(fresh.leaf), pg::arg_array(fresh.lower),
                   pg::arg_array(fresh.upper), pg::arg_int32(fresh.lower_sample), pg::arg_int32(fresh.upper_sample),
                   pg::arg_int64(fresh.rows_estimate)});
}

void insert_empty_plan(int64 job_id) {
    pg::run_fixed(insert_done_row, {pg::arg_int64(job_id)});
}

bool has_plan(int64 job_id) {
    return pg::run_fixed(select_has_plan, {pg::arg_int64(job_id)}) > 0;
}

int64 last_number_before(int64 job_id, int32 leaf) {
    int64 last = 0;
    pg::read_fixed(select_last_number, {pg::arg_int64(job_id), pg::arg_int32(leaf)},
                   [&](const pg::Row &row) { last = row.int64_or(1, 0); });
    return last;
}

bool begin_splits_anew(int64 job_id) {
    if (pg::run_fixed(select_touched, {pg::arg_int64(job_id)}) == 0) return false;
    pg::run_fixed(rewind_splits, {pg::arg_int64(job_id)});
    return true;
}

bool halve_largest(int64 job_id, CompareKeys compare, void *context) {
    List *candidates = NIL;
    pg::read_fixed(select_halvable, {pg::arg_int64(job_id)},
                   [&](const pg::Row &row) { candidates = lappend_int(candidates, row.int32_or(1, 0)); });
    ListCell *cell;
    foreach (cell, candidates) {
        const int32 split = lfirst_int(cell);
        Halvable half = {};
        int ahead = 0;
        if (look_at(read_halvable, job_id, split, &half)) (void)keys_ahead(job_id, half, compare, context, &ahead);
        // One row is locked and no more: its worker holds it for the length of a chunk, and whoever waited for a second
        // one would meet another idle worker that came the other way.
        if (is_worth_halving(half, ahead)) return halve(job_id, split, compare, context);
    }
    return false;
}

SplitCounts count_splits(int64 job_id) {
    SplitCounts counts = {};
    pg::read_fixed(select_states, {pg::arg_int64(job_id), pg::arg(TimestampTzGetDatum(pg::now()))},
                   [&](const pg::Row &row) {
                       counts.all++;
                       counts.rejected += row.int64_or(6, 0);
                       counts.rows_read += row.int64_or(7, 0);
                       counts.rows_estimate += row.int64_or(8, 0);
                       if (row.bool_or(1, false)) {
                           counts.done++;
                       } else if (row.bool_or(2, false)) {
                           counts.claimable += shared::is_live(row.int64_or(3, 0)) ? 0 : 1;
                           counts.halvable += row.bool_or(5, false) ? 1 : 0;
                       } else {
                           counts.claimable += row.bool_or(4, false) ? 0 : 1;
                       }
                   });
    return counts;
}

bool raise_epochs(int64 job_id) {
    const SplitCounts counts = count_splits(job_id);
    const uint64 locked = pg::run_fixed(lock_all, {pg::arg_int64(job_id)});
    if (static_cast<int64>(locked) < counts.all) return false;
    pg::run_fixed(update_epochs, {pg::arg_int64(job_id)});
    return true;
}

} // namespace stride::catalog
