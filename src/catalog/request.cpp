// stride_catalog.request, event and failure.
// Regime: pg.  Inserts take no lock that another session waits for.
#include "catalog/request.hpp"

#include "shared/wakeup.hpp"

namespace stride::catalog {
namespace {

constinit pg::FixedStatement insert_request = {
    "INSERT INTO stride_catalog.request (job_id, action, arguments, session_role, role_name, requested_at)"
    " VALUES ($1, $2, $3, $4, $5, clock_timestamp())",
    5,
    {INT8OID, TEXTOID, JSONBOID, NAMEOID, NAMEOID},
    nullptr};

constinit pg::FixedStatement select_requests = {
    "SELECT request_id, job_id, action, arguments, session_role, role_name FROM stride_catalog.request"
    " ORDER BY request_id",
    0,
    {},
    nullptr};

constinit pg::FixedStatement delete_one_request = {
    "DELETE FROM stride_catalog.request WHERE request_id = $1", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement insert_event = {
    "INSERT INTO stride_catalog.event (event_at, job_id, session_role, role_name, event, from_state, to_state, detail)"
    " VALUES (clock_timestamp(), $1, coalesce($2, session_user), coalesce($3, session_user), $4, $5, $6, $7)",
    7,
    {INT8OID, NAMEOID, NAMEOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
    nullptr};

constinit pg::FixedStatement insert_failure = {
    "INSERT INTO stride_catalog.failure (job_id, split, attempt, failed_at, policy, lower_key, upper_key, sqlstate,"
    " message, detail, hint, context, row_key)"
    " VALUES ($1, nullif($2, 0), $3, clock_timestamp(), $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    12,
    {INT8OID, INT4OID, INT4OID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
     TEXTARRAYOID},
    nullptr};

// A failed or cancelled job meets it in its next attempt; one that fails anyway needs no second reason.
constinit pg::FixedStatement insert_truncation = {
    "INSERT INTO stride_catalog.failure (job_id, attempt, failed_at, policy, sqlstate, message, detail, hint)"
    " SELECT job_id, a.attempt, clock_timestamp(), 'fail', '55000',"
    " format('the tables of job %s have changed since it was planned', job_id),"
    " format('The table %s was truncated before all of it was walked.', l.relation_name),"
    " format('SELECT stride.resume(%1$s) goes on with the rows that are there now, after the position that was reached;"
    " or cancel the job and submit the statement again.', job_id)"
    " FROM stride_catalog.leaf AS l JOIN stride_catalog.job AS j USING (job_id),"
    " LATERAL (SELECT j.attempt + CASE WHEN j.state IN ('failed', 'cancelled') THEN 1 ELSE 0 END AS attempt) AS a"
    " WHERE l.relation = $1 AND l.walked"
    " AND EXISTS (SELECT FROM stride_catalog.split AS s WHERE s.job_id = l.job_id AND s.leaf = l.leaf AND s.state <> "
    "'done')"
    " AND NOT EXISTS (SELECT FROM stride_catalog.failure AS f WHERE f.job_id = l.job_id AND f.attempt = a.attempt AND "
    "f.policy = 'fail')",
    1,
    {OIDOID},
    nullptr};

constinit pg::FixedStatement select_failure = {
    "SELECT policy, message FROM stride_catalog.failure WHERE job_id = $1 AND attempt = $2"
    " ORDER BY policy = 'fail' DESC, failure_id DESC LIMIT 1",
    2,
    {INT8OID, INT4OID},
    nullptr};

constinit pg::FixedStatement delete_failures = {
    "DELETE FROM stride_catalog.failure WHERE job_id = $1 AND policy = 'pause'", 1, {INT8OID}, nullptr};

NullableDatum arg_name(const char *name) {
    if (name == nullptr) return pg::null_arg();
    Name copy = static_cast<Name>(palloc(sizeof(NameData)));
    namestrcpy(copy, name);
    return pg::arg(NameGetDatum(copy));
}

constinit pg::FixedStatement select_run_events = {
    "SELECT count(*) FROM stride_catalog.event WHERE job_id = $1 AND event = $2 AND event_id > coalesce("
    "(SELECT max(event_id) FROM stride_catalog.event WHERE job_id = $1 AND to_state = 'queued'), 0)",
    2,
    {INT8OID, TEXTOID},
    nullptr};

} // namespace

void append_request(int64 job_id, const char *action, Jsonb *arguments) {
    pg::run_fixed(insert_request, {pg::arg_int64(job_id), pg::arg_text(action), pg::arg(JsonbPGetDatum(arguments)),
                                   arg_name(GetUserNameFromId(GetSessionUserId(), false)),
                                   arg_name(GetUserNameFromId(GetUserId(), false))});
}

List *pending_requests() {
    List *requests = NIL;
    pg::read_fixed(select_requests, {}, [&](const pg::Row &row) {
        Request *request = static_cast<Request *>(palloc(sizeof(Request)));
        *request = Request{row.int64_or(1, 0), row.int64_or(2, 0), row.text(3), row.jsonb(4), row.text(5), row.text(6)};
        requests = lappend(requests, request);
    });
    return requests;
}

void delete_request(int64 request_id) {
    pg::run_fixed(delete_one_request, {pg::arg_int64(request_id)});
}

void append_event(int64 job_id, const Actor &actor, const char *event, const char *from_state, const char *to_state,
                  const char *detail) {
    pg::run_fixed(insert_event,
                  {pg::arg_int64(job_id), arg_name(actor.session_role), arg_name(actor.role), pg::arg_text(event),
                   pg::arg_text(from_state), pg::arg_text(to_state), pg::arg_text(detail)});
}

int64 count_run_events(int64 job_id, const char *event) {
    int64 count = 0;
    pg::read_fixed(select_run_events, {pg::arg_int64(job_id), pg::arg_text(event)},
                   [&](const pg::Row &row) { count = row.int64_or(1, 0); });
    return count;
}

void append_failure(const Failure &failure) {
    const ErrorData *error = failure.error;
    pg::run_fixed(insert_failure,
                  {pg::arg_int64(failure.job_id), pg::arg_int32(failure.split), pg::arg_int32(failure.attempt),
                   pg::arg_text(failure.policy), pg::arg_array(failure.lower), pg::arg_array(failure.upper),
                   pg::arg_text(unpack_sql_state(error->sqlerrcode)),
                   pg::arg_text(error->message == nullptr ? "" : error->message), pg::arg_text(error->detail),
                   pg::arg_text(error->hint), pg::arg_text(error->context), pg::arg_array(failure.row_key)});
}

void append_truncation(Oid relation) {
    if (pg::run_fixed(insert_truncation, {pg::arg(ObjectIdGetDatum(relation))}) > 0) shared::wake_at_commit();
}

char *newest_failure_policy(int64 job_id, int32 attempt, char **message) {
    char *policy = nullptr;
    pg::read_fixed(select_failure, {pg::arg_int64(job_id), pg::arg_int32(attempt)}, [&](const pg::Row &row) {
        policy = row.text(1);
        *message = row.text(2);
    });
    return policy;
}

void forget_failures(int64 job_id) {
    pg::run_fixed(delete_failures, {pg::arg_int64(job_id)});
}

} // namespace stride::catalog
