// check_invariants: what must always hold of the jobs that the caller may see, read from the catalog.
// Regime: pg.  Locks: none that another session waits for.  One read-only statement an invariant, each under a snapshot
// of its own, so that work in progress never looks broken.  May not write anything.
#include "core/job_state.hpp"

#include "bridge/boundary.hpp"
#include "pg/fixed.hpp"

namespace stride::api {
namespace {

// Each check is a query for `what` is broken, over `visible`: the jobs that role $1 may see.  $2 and $3 are the legal
// changes of state, $4 the names of all states.
#define STRIDE_CHECK(broken)                                                                                           \
    "WITH visible AS (SELECT j.* FROM stride_catalog.job AS j"                                                         \
    " WHERE pg_has_role($1, j.owner::oid, 'USAGE') OR pg_has_role($1, 'pg_monitor', 'USAGE')),"                        \
    " broken AS (" broken ")"                                                                                          \
    " SELECT count(DISTINCT what), (SELECT string_agg(listed.what, ', ' ORDER BY listed.what)"                         \
    " FROM (SELECT DISTINCT b.what FROM broken AS b ORDER BY b.what LIMIT 20) AS listed) FROM broken"

#define STRIDE_CHECK_TYPES                                                                                             \
    { OIDOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID }
constexpr int check_args = 4;

struct Invariant {
    const char *name;
    pg::FixedStatement statement;
};

constinit Invariant invariants[] = {
    {"I1: a split has at most one live worker",
     {STRIDE_CHECK(
          "SELECT format('job %s split %s', job_id, w.split) AS what FROM visible JOIN stride_catalog.live_workers() "
          "AS w"
          " USING (job_id) WHERE w.phase IN ('reading', 'writing', 'checkpointing') GROUP BY job_id, w.split"
          " HAVING count(*) > 1"
          " UNION ALL SELECT format('job %s', job_id) FROM visible JOIN stride_catalog.split AS s USING (job_id)"
          " WHERE s.state = 'running' AND s.cookie IS NOT NULL GROUP BY job_id, s.cookie HAVING count(*) > 1"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    // Which rows of a stream go to which split is decided while they come.
    {"I2: splits and chunks are disjoint and in order",
     {STRIDE_CHECK(
          "SELECT format('job %s split %s chunk %s', job_id, o.split, o.chunk) AS what FROM visible JOIN"
          " (SELECT c.job_id, c.split, c.chunk, c.lower_key, lag(c.chunk) OVER walk AS chunk_before,"
          "  lag(c.upper_key) OVER walk AS upper_before FROM stride_catalog.chunk AS c"
          "  WINDOW walk AS (PARTITION BY c.job_id, c.split ORDER BY c.chunk)) AS o USING (job_id)"
          " WHERE o.chunk_before IS NOT NULL"
          " AND (o.chunk <> o.chunk_before + 1 OR o.lower_key IS DISTINCT FROM o.upper_before)"
          " UNION ALL SELECT format('job %s', job_id) FROM visible JOIN stride_catalog.split AS s USING (job_id)"
          " WHERE visible.walk <> 'stream' GROUP BY job_id, s.leaf HAVING count(*) FILTER (WHERE s.lower_key IS NULL) "
          "<> 1"
          " OR count(DISTINCT s.upper_key) <> count(*)"
          " UNION ALL SELECT format('job %s split %s', job_id, s.split) FROM visible JOIN stride_catalog.split AS s"
          " USING (job_id) WHERE s.lower_key IS NOT NULL AND NOT EXISTS (SELECT FROM stride_catalog.split AS before"
          " WHERE before.job_id = s.job_id AND before.leaf = s.leaf AND before.upper_key = s.lower_key)"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    // Chunks are not dumped and are folded some time after success, so that the first ones may be missing, the last
    // not.
    {"I3: chunks reach from a split's lower bound to its position, and a split that is done to its upper bound",
     {STRIDE_CHECK(
          "SELECT format('job %s split %s', s.job_id, s.split) AS what FROM visible JOIN stride_catalog.split AS s"
          " USING (job_id) LEFT JOIN LATERAL"
          " (SELECT c.chunk, c.upper_key FROM stride_catalog.chunk AS c WHERE c.job_id = s.job_id AND c.split = s.split"
          "  ORDER BY c.chunk DESC LIMIT 1) AS last ON true"
          " LEFT JOIN stride_catalog.chunk AS first ON first.job_id = s.job_id AND first.split = s.split"
          " AND first.chunk = 1"
          " WHERE last.chunk <> s.chunks OR last.upper_key IS DISTINCT FROM s.position_key AND last.chunk IS NOT NULL"
          " OR first.chunk IS NOT NULL AND first.lower_key IS DISTINCT FROM s.lower_key"
          " OR s.chunks = 0 AND s.position_key IS DISTINCT FROM s.lower_key"
          " OR s.state = 'done' AND s.position_key IS DISTINCT FROM s.upper_key AND s.upper_key <> '{}'"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I4: a split's epoch only grows, and no chunk was committed under a later one",
     {STRIDE_CHECK(
          "SELECT format('job %s split %s', job_id, e.split) AS what FROM visible JOIN"
          " (SELECT c.job_id, c.split, c.epoch, lag(c.epoch) OVER walk AS epoch_before FROM stride_catalog.chunk AS c"
          "  WINDOW walk AS (PARTITION BY c.job_id, c.split ORDER BY c.chunk)) AS e USING (job_id)"
          " JOIN stride_catalog.split AS s USING (job_id, split) WHERE e.epoch < e.epoch_before OR e.epoch > s.epoch"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I5: every state, and every change of state, is one of the table of states",
     {STRIDE_CHECK(
          "SELECT format('job %s', job_id) AS what FROM visible WHERE state <> ALL ($4)"
          " UNION ALL SELECT format('job %s split %s', job_id, s.split) FROM visible JOIN stride_catalog.split AS s"
          " USING (job_id) WHERE s.state NOT IN ('pending', 'running', 'done')"
          " UNION ALL SELECT format('job %s event %s', job_id, e.event) FROM visible JOIN stride_catalog.event AS e"
          " USING (job_id) WHERE e.from_state <> e.to_state AND NOT EXISTS"
          " (SELECT FROM unnest($2, $3) AS edge (a, b) WHERE edge.a = e.from_state AND edge.b = e.to_state)"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I6: the rows of a split are those of its chunks, and each row read was written, filtered, suppressed, rejected "
     "or is gone",
     {STRIDE_CHECK(
          "SELECT format('job %s split %s', job_id, s.split) AS what FROM visible JOIN stride_catalog.split AS s"
          " USING (job_id) JOIN (SELECT c.job_id, c.split, count(*) AS chunks, sum(c.rows_read) AS rows_read,"
          "  sum(c.rows_written) AS rows_written, sum(c.rows_filtered) AS rows_filtered,"
          "  sum(c.rows_suppressed) AS rows_suppressed, sum(c.rows_rejected) AS rows_rejected,"
          "  sum(c.rows_vanished) AS rows_vanished"
          "  FROM stride_catalog.chunk AS c GROUP BY c.job_id, c.split) AS done USING (job_id, split)"
          " WHERE done.chunks > s.chunks OR done.rows_read + done.rows_rejected > s.rows_read"
          " OR done.chunks = s.chunks AND (done.rows_read + done.rows_rejected <> s.rows_read"
          "  OR done.rows_rejected <> s.rows_rejected OR done.rows_written <> s.rows_written"
          "  OR done.rows_filtered <> s.rows_filtered OR done.rows_suppressed <> s.rows_suppressed"
          "  OR done.rows_vanished <> s.rows_vanished)"
          " UNION ALL SELECT format('job %s split %s', job_id, s.split) FROM visible JOIN stride_catalog.split AS s"
          " USING (job_id) WHERE one_to_one"
          " AND s.rows_read <> s.rows_written + s.rows_filtered + s.rows_suppressed + s.rows_rejected + s.rows_vanished"
          " UNION ALL SELECT format('job %s split %s', job_id, r.split) FROM visible JOIN"
          " (SELECT r.job_id, r.split, count(*) AS rejects FROM stride_catalog.reject AS r GROUP BY r.job_id, r.split) "
          "AS r"
          " USING (job_id) LEFT JOIN stride_catalog.split AS s USING (job_id, split)"
          " WHERE r.rejects > coalesce(s.rows_rejected, 0)"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I7: a job that is under way has a process that will take it on",
     {STRIDE_CHECK("SELECT format('job %s', job_id) AS what FROM visible"
                   " WHERE state IN ('running', 'pausing', 'failing', 'cancelling') AND NOT pg_is_in_recovery()"
                   " AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.backend_type = 'pg_stride launcher'"
                   "  OR a.backend_type = 'pg_stride scheduler'"
                   "  AND a.datid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()))"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I8: no lock or snapshot of pg_stride is left behind",
     {STRIDE_CHECK(
          "SELECT format('prepared transaction that locks %s', l.relation::regclass) AS what FROM pg_locks AS l"
          " JOIN pg_class AS c ON c.oid = l.relation WHERE l.pid IS NULL"
          " AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())"
          " AND c.relnamespace = 'stride_catalog'::regnamespace"
          " UNION ALL SELECT format('process %s', a.pid) FROM pg_stat_activity AS a"
          " WHERE a.backend_type IN ('pg_stride launcher', 'pg_stride scheduler')"
          " AND a.xact_start < clock_timestamp() - interval '1 minute'"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I9: the launcher is alive",
     {STRIDE_CHECK("SELECT 'no process with backend_type pg_stride launcher' AS what WHERE NOT pg_is_in_recovery()"
                   " AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.backend_type = 'pg_stride launcher')"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I10: a job that ended stays ended, and one that succeeded has done every split and has no index dropped",
     {STRIDE_CHECK(
          "SELECT format('job %s', job_id) AS what FROM visible WHERE (finished_at IS NOT NULL)"
          " <> (state IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled'))"
          " UNION ALL SELECT format('job %s split %s', job_id, s.split) FROM visible JOIN stride_catalog.split AS s"
          " USING (job_id) WHERE visible.state IN ('succeeded', 'succeeded_with_rejects') AND s.state <> 'done'"
          " UNION ALL SELECT format('job %s split %s', job_id, s.split) FROM visible JOIN stride_catalog.split AS s"
          " USING (job_id) WHERE finished_at IS NOT NULL AND s.state = 'running'"
          " UNION ALL SELECT format('job %s', job_id) FROM visible JOIN stride_catalog.split AS s USING (job_id)"
          " GROUP BY job_id, visible.state HAVING visible.state = 'succeeded' AND sum(s.rows_rejected) > 0"
          " OR visible.state = 'succeeded_with_rejects' AND sum(s.rows_rejected) = 0"
          " UNION ALL SELECT format('job %s index %s', job_id, d.index_name) FROM visible"
          " JOIN stride_catalog.dropped_index AS d USING (job_id)"
          " WHERE visible.state IN ('succeeded', 'succeeded_with_rejects') AND d.state IN ('dropped', 'failed')"
          " UNION ALL SELECT format('job %s', job_id) FROM visible JOIN stride_catalog.event AS e USING (job_id)"
          " WHERE e.from_state IN ('succeeded', 'succeeded_with_rejects') AND e.to_state <> e.from_state"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
    {"I11: every work table is a job's",
     {STRIDE_CHECK("SELECT format('table %s', c.relname) AS what FROM pg_class AS c"
                   " WHERE c.relnamespace = 'stride_work'::regnamespace AND c.relkind = 'r'"
                   " AND NOT EXISTS (SELECT FROM stride_catalog.work_table AS w WHERE w.relation = c.oid)"),
      check_args, STRIDE_CHECK_TYPES, nullptr}},
};

#undef STRIDE_CHECK
#undef STRIDE_CHECK_TYPES

Datum text_array(Datum *texts, int count) {
    return PointerGetDatum(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}

struct StateTable {
    Datum from;
    Datum to;
    Datum names;
};

// core's table of states as arrays of names.
StateTable state_table() {
    constexpr int edges = static_cast<int>(core::job_edges.size());
    constexpr int states = static_cast<int>(core::job_state_names.size());
    Datum from[edges];
    Datum to[edges];
    Datum names[states];
    for (size_t i = 0; i < core::job_edges.size(); i++) {
        from[i] = CStringGetTextDatum(core::name(core::job_edges[i].from));
        to[i] = CStringGetTextDatum(core::name(core::job_edges[i].to));
    }
    for (size_t i = 0; i < core::job_state_names.size(); i++)
        names[i] = CStringGetTextDatum(core::job_state_names[i]);
    return {text_array(from, edges), text_array(to, edges), text_array(names, states)};
}

const char *detail_of(int64 broken, const char *which) {
    if (broken == 0) return nullptr;
    constexpr int64 shown = 20;
    if (broken <= shown) return which;
    return psprintf("%s and %lld more", which, static_cast<long long>(broken - shown));
}

void check_invariants(FunctionCallInfo fcinfo) {
    InitMaterializedSRF(fcinfo, 0);
    const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    const NullableDatum role = pg::arg(ObjectIdGetDatum(GetUserId()));
    const StateTable table = state_table();
    for (Invariant &invariant : invariants) {
        const char *detail = nullptr;
        pg::read_fixed(invariant.statement, {role, pg::arg(table.from), pg::arg(table.to), pg::arg(table.names)},
                       [&](const pg::Row &row) { detail = detail_of(row.int64_or(1, 0), row.text(2)); });
        const Datum values[] = {CStringGetTextDatum(invariant.name), BoolGetDatum(detail == nullptr),
                                detail == nullptr ? Datum{0} : CStringGetTextDatum(detail)};
        const bool nulls[] = {false, false, detail == nullptr};
        tuplestore_putvalues(result->setResult, result->setDesc, const_cast<Datum *>(values),
                             const_cast<bool *>(nulls));
    }
}

} // namespace
} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_check_invariants);
PGDLLEXPORT Datum stride_check_invariants(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::check_invariants(fcinfo);
        return Datum{0};
    });
}

} // extern "C"
