// What the workers of one job share about its pace: the debts of its rates, the rows of its run, the answer of its
// throttle_query.
// Regime: pg.  Takes the area's lock for short sections.
#pragma once

#include "core/pacing.hpp"
#include "shared/worker_slots.hpp"

namespace stride::shared {

// Whoever asks first takes an entry; one whose job has no workers any more may be taken by another job, so that there
// are as many as worker slots.  Entries are guarded by the area's lock.
JobPace *pace_of(Oid database, int64 job_id);

// How many workers the job would use now; 0 = nobody has said.  Written by the scheduler.
void set_workers_wanted(Oid database, int64 job_id, int workers);
int workers_wanted(Oid database, int64 job_id);

// What the job's workers have done, as far as it was counted here.
struct RunView {
    int64 rows;
    int64 chunks;
};
RunView view_run(Oid database, int64 job_id);

// The rows and the WAL of a committed chunk.  A rate of 0 is no limit.
void owe(JobPace *pace, double rows_rate, double rows, double wal_rate, double wal_bytes);

// Milliseconds until a chunk may start under the rate.
double wait_for_rows(JobPace *pace, double rate);
double wait_for_wal(JobPace *pace, double rate);

// The run's budget of rows.  begin_run says how many rows the run has done (the scheduler's word, while no worker
// runs). reserve_rows sets aside up to `rows` for the slot's next chunk, at most what `most` leaves beside the rows
// that are done and those that others have set aside; commit_rows turns what was walked into rows done, and frees the
// rest.
void begin_run(Oid database, int64 job_id, int64 rows_done);
int64 reserve_rows(JobPace *pace, WorkerSlot *slot, int64 rows, int64 most);
void commit_rows(JobPace *pace, WorkerSlot *slot, int64 rows);

// The throttle_query: one worker runs it for all, once a second.
struct QueryAnswer {
    double value;
    TimestampTz read_at; // 0 = never
    bool runs;           // a worker is about to read it anew
    int sqlstate;        // of the last try, 0 = it was good
};
bool claim_query(JobPace *pace); // true for one worker a second: it runs the query, and then gives its answer
void set_answer(JobPace *pace, int sqlstate, double value); // 0 = it was good
QueryAnswer answer_of(JobPace *pace);

} // namespace stride::shared
