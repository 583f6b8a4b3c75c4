// What a worker does about an error: the policy of core/error_policy.hpp, written to split, reject and failure.
// Regime: pg.  Called after the failed transaction was aborted.
#pragma once

#include "core/bisect.hpp"
#include "core/chunk_sizer.hpp"

#include "catalog/dropped_index.hpp"
#include "catalog/job.hpp"
#include "settings/settings.hpp"
#include "catalog/split.hpp"
#include "chunk/transaction.hpp"
#include "job/stream.hpp"
#include "pace/pacer.hpp"
#include "shared/worker_order.hpp"
#include "shared/worker_slots.hpp"

namespace stride::process {

// A stream that the worker takes part in.
struct WorkerStream {
    MemoryContext memory; // of all this
    shared::Receiver *receiver;
    job::StreamRows *rows;
    const shared::Parcel *parcel; // received, and not among the rows yet; nullptr mostly
    int attempts;                 // that failed since the last commit
};

// A worker's state, for the length of its process.
struct Worker {
    shared::WorkerOrder order = {};
    shared::WorkerSlot *slot = nullptr;
    catalog::Job *job = nullptr; // in job_memory
    Oid extension = InvalidOid;  // that the job was loaded from
    settings::Settings settings = {};
    core::ChunkSizer sizer;
    pace::Pacer pacer;
    MemoryContext job_memory = nullptr;   // reset when the job's row is read again
    MemoryContext chunk_memory = nullptr; // reset before every chunk
    const char *activity = nullptr;
    // Of the split that it runs.
    core::Bisect bisect;
    WorkerStream *stream = nullptr; // nullptr = its rows are read from a table
    chunk::Carry carry = {};
};

// One attempt at a chunk that failed.
struct FailedChunk {
    chunk::Work &work;
    const chunk::Identity &identity;
    catalog::Split *split;
    const chunk::Result &tried;
    int64 limit;
    ErrorData *error;
};

// Where the worker goes on.
enum class Next { same_split, other_split, end };

// Writes down what became of the chunk, and passes the row at fault where the job allows that.
Next handle_chunk_error(Worker *worker, const FailedChunk &chunk);

// The rows ahead in the split have crashed the server often enough: pauses the job.
void record_crashes(Worker *worker, const catalog::Split &split);

// Writes down what became of an index that was not rebuilt; true when the worker may go on with other indexes.
bool handle_rebuild_error(Worker *worker, const catalog::DroppedIndex &dropped, ErrorData *error);

// An error before a split was claimed: fails or pauses the job.
void record_planning_error(Worker *worker, ErrorData *error);

// Waits before the next attempt at planning or at claiming, the first of which has number 1.  False when there is to be
// none: the error does not pass, there were retry_limit attempts, or the worker is asked to stop.
bool wait_before_retry(Worker *worker, int attempt, const ErrorData *error);

// Waits a while of the time until the next attempt, and shows what for.
void nap(const Worker &worker, double left_ms, int failed, const char *error);

// An error that another try may not meet again, or that another worker of ours caused.
bool is_transient(const ErrorData *error);

} // namespace stride::process
