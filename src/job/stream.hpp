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

struct StreamRow {
    int64 ordinal; // its number in the order of the query, from 1
    MinimalTuple tuple;
    void *parcel; // that ends with it: freed once the row is committed; else nullptr
};

// What a worker has received of a split and not committed yet.
struct StreamRows {
    MemoryContext memory; // of all this
    StreamRow *rows;
    int64 capacity;
    int64 received;
    int64 committed; // of them
    Size bytes;      // of those that are not
    bool ended;      // no more will come
};
StreamRows *create_stream_rows(MemoryContext memory);
void add_parcel(StreamRows *rows, const shared::Parcel *parcel, Size bytes);
void drop_committed(StreamRows *rows, int64 count);
inline int64 held_rows(const StreamRows &rows) {
    return rows.received - rows.committed;
}

struct StreamStatement final : ChunkStatement {
    StreamStatement(const catalog::Job &of_job, const settings::Settings &with_settings, const StreamRows &of_rows)
        : ChunkStatement(of_job, with_settings), rows(of_rows) {}

    chunk::Reach reach(ArrayType *position, ArrayType *upper, int64 limit) override;
    void plan(ArrayType *lower, ArrayType *upper) override;
    void settle() override;
    Jsonb *row(ArrayType *lower, ArrayType *upper) override;
    void keep_aside(const catalog::Reject &reject) override;

    const StreamRows &rows;
    int64 taken = 0; // rows of the chunk
    Tuplestorestate *store = nullptr;
};

} // namespace stride::job
