// stride_catalog.job, typed.
// Regime: pg.  All statements run as the extension owner (pg/fixed.hpp).  Only submit() inserts and only the scheduler
// updates rows of this table.
#pragma once

#include "core/job_state.hpp"
#include "pg/fixed.hpp"

namespace stride::catalog {

// Where a job was validated: a row that was restored, cloned or recovered to a point in time does not match the server
// that finds it.
struct Home {
    int64 system_identifier;
    Oid database;
    Oid extension;
    int32 timeline;
};
Home this_home();

// One job; strings and arrays are palloc'd, nullptr for NULL.
struct Job {
    int64 job_id;
    char *name;
    char *kind;
    Oid owner;
    char *owner_name;
    Home home;
    char *statement;
    char *source_alias;
    ArrayType *wanted_key;
    int32 workers;    // as resolved at submit; 0 = chooses by itself
    int32 chunk_rows; // 0 = adapts
    char *on_error;
    int64 retry_of;        // the job whose rejects this one drives again, 0 = none
    int64 reject_limit;    // -1 = none
    double reject_percent; // -1 = none
    ArrayType *depends_on;
    bool has_start_at;
    TimestampTz start_at;
    int32 priority;
    Jsonb *settings;
    Jsonb *session;
    Jsonb *pipeline; // the arguments of submit_pipeline; nullptr for a statement job
    char *indexes;   // "keep" or "rebuild"
    char *statement_kind;
    char *stored_sql;
    char *stored_alias;
    Oid source;
    char *source_name;
    Oid target; // InvalidOid when nothing is written
    char *target_name;
    ArrayType *relations;      // oid[], ascending
    ArrayType *relation_names; // text[], in the same order
    char *walk;
    char *key_definition; // as found at submission; nullptr where the source has leaves without a common one
    char *sink;
    char *sink_reason;
    bool one_to_one;      // each driving row is written at most once
    bool keeps_last;      // of the rows of a chunk with one conflict key only the last is written
    bool deletes_source;  // the driving rows that are written are deleted
    ArrayType *transform; // the function of a pipeline, as catalog/transform.hpp stores its name; nullptr = none
    Oid transform_oid;
    int64 transform_version; // xmin of its row in pg_proc: the function as it was at submission or resume
    core::JobState state;
    char *state_reason;
    int32 attempt;
    int32 failed_starts;
    TimestampTz run_started_at; // the last start or resume; 0 before the first
    int64 run_rows_before;      // rows read before it
};

// Whether the target's secondary indexes are dropped during the load.
inline bool rebuilds_indexes(const Job &job) {
    return strcmp(job.indexes, "rebuild") == 0;
}

// Reads one job under a fresh snapshot; nullptr if there is none.
Job *find_job(int64 job_id);

// The job, if the current user may act on it (has the owner's privileges); else raises 42704 with a hint, the same for
// an unknown id and another's job, so that ids of others can't be probed.
Job *require_own_job(int64 job_id);

// The id of the job that matters to if_exists: the owner's newest of the same name (or, without a name, of the same
// statement or pipeline arguments and without one) that is unfinished, failed or cancelled.  0 if there is none; *state
// is set otherwise.
int64 find_resumable(const Job &like, core::JobState *state);

// Whether all predecessors have succeeded; else *reason (palloc'd) names the first that has not.
bool predecessors_succeeded(ArrayType *depends_on, char **reason);

// The unfinished job that drives this job's rejects again, 0 if there is none.
int64 find_retry(int64 job_id);

// Inserts a queued job and returns its id.
int64 insert_job(const Job &job);

// The scheduler's reads and writes.
List *unfinished_jobs(); // List of Job *, by priority descending, then id
void set_state(int64 job_id, core::JobState state, const char *reason);
void set_reason(int64 job_id, const char *reason);
void mark_started(int64 job_id, int64 rows_before);     // -> running, a new run; with started_at if it is the first
void mark_finished(int64 job_id, core::JobState state); // with finished_at
void mark_requeued(int64 job_id, const Home &home);     // a new attempt; clears the error
void set_failed_starts(int64 job_id, int32 failed_starts);
void alter_job(int64 job_id, Jsonb *arguments); // those of stride.alter that are there, by their names
void move_home(int64 job_id, const Home &home);
void rebind(const Job &job); // relation oids looked up again by name
void rebind_target(int64 job_id, Oid target);
void repin(const Job &job);             // the transform's function looked up again by name
void copy_failure_to_job(int64 job_id); // the newest failure of the job's attempt becomes its error
void purge_history(
    int retention_minutes);    // finished jobs older than that without rejects; chunk rows a day after success
void delete_job(int64 job_id); // with all that hangs on it

} // namespace stride::catalog
