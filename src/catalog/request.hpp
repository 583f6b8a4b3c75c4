// stride_catalog.request, event and failure, typed: what was asked, what happened, what went wrong.
// Regime: pg.  Requests are appended in the caller's transaction and taken away by the scheduler; events and failures
// are only ever appended.
#pragma once

#include "core/job_state.hpp"
#include "pg/fixed.hpp"

namespace stride::catalog {

struct Request {
    int64 request_id;
    int64 job_id;
    char *action; // "pause", "resume", "cancel", "alter", "forget", "discard_rejects"
    Jsonb *arguments;
    char *session_role;
    char *role_name;
};

// Appends a request in the caller's transaction, with session_user and current_user of the caller.
void append_request(int64 job_id, const char *action, Jsonb *arguments);

List *pending_requests(); // List of Request *, oldest first
void delete_request(int64 request_id);

// Who made something happen: a caller, or (both nullptr) pg_stride itself, shown as the extension's own roles.
struct Actor {
    const char *session_role;
    const char *role;
};
void append_event(int64 job_id, const Actor &actor, const char *event, const char *from_state, const char *to_state,
                  const char *detail);

// How often an event was written since the job was last queued, at its submission or to be resumed.
int64 count_run_events(int64 job_id, const char *event);

// What ended an attempt at a chunk.  `policy` is what follows: "fail" or "pause".
struct Failure {
    int64 job_id;
    int32 split; // 0 = before any split was claimed
    int32 attempt;
    const char *policy;
    ArrayType *lower;
    ArrayType *upper;
    ArrayType *row_key; // of the row at fault, nullptr = not known
    const ErrorData *error;
};
void append_failure(const Failure &failure);

// Appends a failure to each job that has not walked all of the table yet, in the transaction that truncates it.
void append_truncation(Oid relation);

// The policy of the newest failure of this attempt of the job, with its message; nullptr if there is none.
char *newest_failure_policy(int64 job_id, int32 attempt, char **message);

// Takes away a job's failures that were answered by a pause, so that a resume is not paused by them again.
void forget_failures(int64 job_id);

} // namespace stride::catalog
