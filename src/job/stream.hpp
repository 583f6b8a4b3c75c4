// The work of a job that walks a stream: the rows that a reader process sends take the place of its source.
// Regime: pg.  Locks: as job/chunk_statement.hpp.
//
// The source of such a job is a work table that stays empty: it gives the rows their type, and the pipeline is compiled
// with it as any other.  In the tree of each chunk's statement it is replaced by a named tuplestore with the chunk's
// rows.  Rows stay in the worker's memory until they are committed, so that a chunk can be tried again, and in parts.
// Only rows that are kept aside go into the work table, from where they can be driven again as those of any other.
#pragma once

#include "job/chunk_statement.hpp"
#include "shared/channel.hpp"

namespace stride::job {

inline bool is_stream(const catalog::Job &job) {
    return strcmp(job.walk, "stream") == 0;
}

// Writes the plan of such a job in the current transaction: a split for each worker that it may have.
void plan_stream(const catalog::Job &job);

// What a worker has received of a split and not committed yet.
struct StreamRows {
    MemoryContext memory;   // of the store alone
    TupleTableSlot *slot;   // for any of the rows; knows no column but the ordinal
    Tuplestorestate *store; // the rows, in their order, each as one of the work table; nullptr if none are held
    int64 committed;        // of those in the store, the first ones
    int64 held;             // the others
    int64 last;             // ordinal of the last of them
    Size bytes;             // of all in the store
    bool ended;             // no more will come
};
StreamRows *create_stream_rows(MemoryContext memory);
void add_parcel(StreamRows *rows, const shared::Parcel &parcel);
void drop_committed(StreamRows *rows, int64 count);

struct StreamStatement final : ChunkStatement {
    StreamStatement(const catalog::Job &of_job, const settings::Settings &with_settings, const StreamRows &of_rows)
        : ChunkStatement(of_job, with_settings), rows(of_rows) {}

    chunk::Reach reach(ArrayType *position, ArrayType *upper, int64 limit) override;
    void plan(ArrayType *lower, ArrayType *upper) override;
    Jsonb *row(ArrayType *lower, ArrayType *upper) override;
    void keep_aside(const catalog::Reject &reject) override;

    const StreamRows &rows;
    int64 taken = 0; // rows of the chunk
};

} // namespace stride::job
