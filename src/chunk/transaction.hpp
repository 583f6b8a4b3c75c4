// The chunk transaction: fence, read ahead, write, checkpoint, commit (design.md 5).
// Regime: pg.  Locks: the extension and the split's row for the whole transaction, then the relations of the work in
// OID order. May not catch errors: the worker's loop does, and aborts.
#pragma once

#include "catalog/reject.hpp"
#include "catalog/split.hpp"
#include "shared/worker_slots.hpp"
#include "sink/phase_times.hpp"

namespace stride::chunk {

// How far a chunk reaches from the split's position.
struct Reach {
    int64 rows;       // driving rows in (position, upper]
    ArrayType *upper; // the chunk's upper key: the last row's, or the split's bound when nothing more is left before it
    ArrayType *last;  // the last row's key, nullptr if there is no row
    bool reached_end;
};

// What became of the chunk's rows.
struct Outcomes {
    int64 written;
    int64 suppressed; // came out of the statement, but were not written
};

// What a chunk does, brought by the walk and the job.  Objects live in the job's memory context; no destructors.
struct Work {
    // Locks every relation in OID order and compares what the job relies on; raises 55000 if the source has changed.
    virtual void lock_and_check(const catalog::Split &split) = 0;
    // Looks ahead at most `limit` rows, under the active snapshot.
    virtual Reach reach(ArrayType *position, ArrayType *upper, int64 limit) = 0;
    // Rewrites and plans the statement for the range; returns nothing to the caller but readies run().
    virtual void plan(ArrayType *lower, ArrayType *upper) = 0;
    // Runs the planned statement under the active snapshot; returns what became of the rows and where the time went.
    virtual Outcomes run(sink::PhaseTimes *times) = 0;
    // After run(), under the same snapshot: how many of the rows that reach() counted are there no more, so that the
    // statement could not meet them.  `unaccounted` of them were neither written nor suppressed.
    virtual int64 vanished([[maybe_unused]] int64 unaccounted) { return 0; }
    // The one driving row in the range (lower, upper], under the active snapshot, as far as the owner may read it.
    virtual Jsonb *row(ArrayType *lower, ArrayType *upper) = 0;
    // After run(): what else belongs to the success of the chunk's rows, as a fixed statement of ours.
    virtual void settle() {}
    // Writes down the one row of the chunk that reach() found last, which is bad.
    virtual void keep_aside(const catalog::Reject &reject) { catalog::insert_reject(reject); }
    // True when each driving row is written at most once, so that those neither written nor suppressed were filtered
    // out.
    virtual bool one_to_one() const = 0;

protected:
    ~Work() = default;
};

struct Identity {
    Oid owner; // current, session and outer user must all be this role
    int32 worker;
    int32 attempt;
    int64 cookie;  // by which its worker claims splits
    Oid extension; // locked first, so that DROP EXTENSION waits for the chunk before it has locked anything itself
    shared::WorkerSlot *slot;
};

enum class Outcome { committed, split_done, fenced };

// What a chunk's own history row can't hold any more, and the waits between two chunks: counted with the worker's next
// one.
struct Carry {
    double checkpoint_ms;
    double commit_ms;
    double wait_ms; // throttles, holds and back-off
    int32 retries;  // attempts that failed since the last checkpoint
};

struct Result {
    Outcome outcome;
    Reach reach;    // also of a chunk that failed, once it has looked ahead; else 0 rows
    double work_ms; // from the fence to the end of the commit
    bool has_next;  // the chunk ended its split, and its transaction claimed this one
    catalog::Split next;
};

struct Limits {
    int64 rows;
    int time_ms;     // of the work, without fence, checkpoint and commit; 0 = none
    int64 next_rows; // of the first chunk of a split that is claimed with the end of this one, about
};

// Runs one chunk of at most `limits.rows` driving rows in a transaction of its own.  `split` and `carry` are brought up
// to date. The current memory context must be one that is reset after the chunk.
void run_chunk(Work &work, const Identity &identity, catalog::Split *split, const Limits &limits, Carry *carry,
               Result *result);

// The steps that a chunk shares with the passing of a bad row.  begin_chunk starts the transaction, leaves a snapshot
// active and returns false, with the transaction ended, if the split is another worker's.
bool begin_chunk(Work &work, const Identity &identity, catalog::Split *split);
void advance(const catalog::Split &split, const catalog::Checkpoint &row); // or raises 40001

} // namespace stride::chunk
