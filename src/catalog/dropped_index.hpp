// stride_catalog.dropped_index, typed: the indexes that a load left out, until they are there again.
// Regime: pg.  The planning transaction inserts, in the transaction that drops the index; a worker locks a row for as
// long as it rebuilds the index and marks it in the transaction that creates it.  Nobody waits for a row's lock.
#pragma once

#include "catalog/job.hpp"

namespace stride::catalog {

struct DroppedIndex {
    int64 job_id;
    char *name;       // without its schema, which is the table's
    char *definition; // a CREATE INDEX with every name qualified
    char *comment;
    ArrayType *statistics; // int4[]: the statistics target of each column, -1 = default; nullptr = all default
    int32 attempts;        // that failed
};

void insert_dropped_index(const DroppedIndex &dropped);

// Takes one that is due and that no other worker is at: locks its row until the transaction ends.  False if there is
// none.
bool claim_dropped_index(int64 job_id, DroppedIndex *claimed);

// What became of it.  `note` says what a reader of the events should know; nullptr = nothing.
void mark_rebuilt(const DroppedIndex &dropped, double rebuild_ms, const char *note);
void mark_abandoned(const DroppedIndex &dropped, const char *note); // its table has gone

// After an error, in a transaction of its own: not to be tried before `delay_ms` from now, or not before a resume.
void back_off_rebuild(const DroppedIndex &dropped, double delay_ms, const ErrorData *error);
void mark_rebuild_failed(const DroppedIndex &dropped, const ErrorData *error);

// The scheduler's look at a job's indexes.
struct DroppedIndexCounts {
    int64 left;   // dropped, to be rebuilt by a worker
    int64 due;    // of these, not backing off
    int64 failed; // dropped, and not tried again before a resume
};
DroppedIndexCounts count_dropped_indexes(int64 job_id);

// What the scheduler does with all of a job's dropped indexes: gives them up until a resume, takes them up again.
void fail_dropped_indexes(int64 job_id, const char *message);
void retry_dropped_indexes(int64 job_id);

} // namespace stride::catalog
