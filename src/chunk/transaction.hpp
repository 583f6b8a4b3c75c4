// The chunk transaction: fence, read ahead, write, checkpoint, commit (design.md 5).
// Regime: pg.  Locks: the split's row for the whole transaction, then the relations of the work in OID order.
// May not catch errors: the worker's loop does, and aborts.
#pragma once

#include "catalog/split.hpp"
#include "shared/worker_slots.hpp"

namespace stride::chunk {

// How far a chunk reaches from the split's position.
struct Reach {
    int64 rows;       // driving rows in (position, upper]
    ArrayType *upper; // the chunk's upper key: the last row's, or the split's bound when nothing more is left before it
    bool reached_end;
};

// What a chunk does, brought by the walk and the job.  Objects live in the job's memory context; no destructors.
struct Work {
    // Locks every relation in OID order and compares what the job relies on; raises 55000 if the source has changed.
    virtual void lock_and_check() = 0;
    // Looks ahead at most `limit` rows, under the active snapshot.
    virtual Reach reach(ArrayType *position, ArrayType *upper, int64 limit) = 0;
    // Rewrites and plans the statement for the range; returns nothing to the caller but readies run().
    virtual void plan(ArrayType *lower, ArrayType *upper) = 0;
    // Runs the planned statement under the active snapshot; returns the rows written.
    virtual int64 run() = 0;
    // True when each driving row is written at most once, so that read - written rows were filtered out.
    virtual bool one_to_one() const = 0;

protected:
    ~Work() = default;
};

struct Identity {
    Oid owner; // current, session and outer user must all be this role
    int32 worker;
    int32 attempt;
    shared::WorkerSlot *slot;
};

enum class Outcome { committed, split_done, fenced };

// What a chunk's own history row can't hold any more: it is counted with the worker's next chunk.
struct Carry {
    double checkpoint_ms;
    double commit_ms;
};

struct Result {
    Outcome outcome;
    int64 rows_read;
    double work_ms; // from the fence to the end of the commit
    Carry carry;
};

// Runs one chunk of at most `limit` driving rows in a transaction of its own.  `split` is brought up to date.  The current
// memory context must be one that is reset after the chunk.
Result run_chunk(Work &work, const Identity &identity, catalog::Split *split, int64 limit, const Carry &carried);

} // namespace stride::chunk
