// stride_catalog.split and sample, typed: claim, fence, checkpoint, halving.
// Regime: pg.  A split's row is locked by the worker that owns its epoch for the length of a chunk transaction; all
// changes are compare-and-set on the epoch.
#pragma once

#include "pg/fixed.hpp"

namespace stride::catalog {

// A claimed split as its worker knows it.  Keys are stored keys (text[]); position nullptr = before the first row.
struct Split {
    int64 job_id;
    int32 split;
    int32 leaf; // the table of the job that it is part of
    int64 epoch;
    ArrayType *lower;
    ArrayType *position;
    ArrayType *upper;
    int32 chunks;         // chunks committed so far: the number of the last one
    int32 attempts;       // failed attempts at the present position
    int32 crashes;        // workers that crashed at the rows which are suspected
    int64 suspect_rows;   // that many of the next rows may have crashed a worker; 0 = none
    int64 crashed_cookie; // of the worker before, if it crashed: its mark is to be dropped after the commit; else 0
};

// The rows that may have crashed a worker are done in parts of at most so many: how many rows a chunk of `rows` may
// then have.
constexpr int suspect_parts = 16;
constexpr int64 limit_of_suspects(int64 rows, int64 suspect_rows) {
    return suspect_rows > 0 ? Min(rows, Max(static_cast<int64>(1), suspect_rows / suspect_parts)) : rows;
}

// Where what is walked has numbers for keys (ids of rejects, ordinals of saved keys), a position is one of them;
// nullptr, before the first one, is 0.
ArrayType *number_key(int64 number);
int64 key_number(ArrayType *key);

struct NewSplit {
    int32 leaf;
    ArrayType *lower;
    ArrayType *upper;
    int32
        lower_sample; // ordinal of the sampled key that is the lower bound; of a leaf's first split, the one before its first
    int32 upper_sample;
    int64 rows_estimate;
};

// The plan of a job, in one transaction: its sampled keys (ordinals 0 ..) and its splits.  Ordinals of one leaf follow
// each other, and are one apart at least from the next leaf's.  A job without rows gets one split that is done.
void insert_sample(int64 job_id, int32 ordinal, ArrayType *key);
void insert_split(int64 job_id, int32 split, const NewSplit &fresh);
void insert_empty_plan(int64 job_id);
bool has_plan(int64 job_id);

// Of a job that walks numbers which go on from leaf to leaf: the last one of the leaves before this one, 0 if there is
// none.
int64 last_number_before(int64 job_id, int32 leaf);

// Brings the splits back to their beginning, and forgets their chunks; waits for chunks in flight, and no later one of
// theirs can commit.  False if no worker has ever had one of them: nothing was to be done.
bool begin_splits_anew(int64 job_id);

// Takes a split that is pending, or whose worker is gone, for this worker, whose next chunk will have at most `limit` rows:
// raises its epoch.  Where the worker before crashed, twice the rows of its chunk come under suspicion.  False if there is none now;
// *back_off then is that of the split that may be tried next.
struct BackOff {
    double ms; // from now; -1 = no split backs off
    int32 attempts;
    char *error; // SQLSTATE and message of the last attempt
};
bool claim_split(int64 job_id, int64 cookie, int64 limit, Split *claimed, BackOff *back_off);

// As claim_split, but takes none other than a split that is pending and does not back off, and locks no more than that
// one.
bool claim_free_split(int64 job_id, int64 cookie, int64 limit, Split *claimed);

// First statement of a chunk: locks the split's row if the epoch is still ours and re-reads its bounds.  False =
// fenced.
bool fence(Split *split);

struct Checkpoint {
    ArrayType *position; // the chunk's upper key
    bool done;           // position is the split's upper bound
    int32 worker;
    int32 attempt;
    int64 rows_read;
    int64 rows_written;
    int64 rows_filtered;
    int64 rows_rejected; // 1 for the checkpoint that passes a bad row, which counts in no other figure
    int32 retries;       // failed attempts since the last checkpoint
    int64 limit;         // the rows that the chunk might have had
    int64 rows_suppressed;
    int64 rows_vanished; // saved keys without a row
    TimestampTz started_at;
    double plan_ms;
    double read_ms;
    double transform_ms;
    double write_ms;
    double index_ms;
    double checkpoint_ms;
    double commit_ms; // of the worker's chunk before this one
    double wait_ms;   // between that one and this
    int64 wal_bytes;
};

// Advances the split by compare-and-set on (epoch, position, upper) and inserts the chunk's history row; false unless
// exactly one row of each was written: the caller must abort.
bool write_checkpoint(const Split &split, const Checkpoint &checkpoint);

// After a failed attempt: the split goes back to pending, not to be tried before `delay_ms` from now.  `error` is its
// SQLSTATE and message, `retries` the failed attempts since the last checkpoint.
void back_off(const Split &split, double delay_ms, const char *error, int32 retries);

// Gives the split back (pause, surplus worker, end of the job); nothing happens if the epoch is no longer ours.
void give_back(const Split &split, int32 retries);

// The split that is worth halving most: running, with stored sample keys between its position and its upper bound, and
// more rows there than its worker does in a chunk.  `compare` orders stored keys.  Takes the row's lock, lowers its
// upper bound and inserts the upper half as a pending split, in this transaction.  False if no split can be halved.
using CompareKeys = int (*)(int32 leaf, ArrayType *a, ArrayType *b, void *context);
bool halve_largest(int64 job_id, CompareKeys compare, void *context);

// The scheduler's look at a job's splits.
struct SplitCounts {
    int64 all;
    int64 done;
    int64 claimable; // pending and not backing off, or running under a worker that is gone
    int64 halvable;  // running, with stored sample keys inside, and more than a chunk ahead
    int64 rejected;  // rows, of all splits
    int64 rows_read;
    int64 rows_estimate;
};
SplitCounts count_splits(int64 job_id);

// Raises the epoch of every split, so that no chunk in flight can commit; false if a row is locked (try again later).
bool raise_epochs(int64 job_id);

} // namespace stride::catalog
