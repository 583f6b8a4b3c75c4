// What a worker does about an error: the policy of core/error_policy.hpp, written to split and failure.
// Regime: pg.  Called after the failed transaction was aborted.
#pragma once

#include "catalog/job.hpp"
#include "settings/settings.hpp"
#include "catalog/split.hpp"
#include "core/chunk_sizer.hpp"
#include "shared/worker_order.hpp"
#include "shared/worker_slots.hpp"

namespace stride::process {

// A worker's state, for the length of its process.
struct Worker {
    shared::WorkerOrder order = {};
    shared::WorkerSlot *slot = nullptr;
    catalog::Job *job = nullptr; // in job_memory
    settings::Settings settings = {};
    core::ChunkSizer sizer;
    MemoryContext job_memory = nullptr;   // reset when the job's row is read again
    MemoryContext chunk_memory = nullptr; // reset before every chunk
    const char *activity = nullptr;
};

// Writes down what became of the chunk; true when the worker may go on with other splits.
bool handle_chunk_error(Worker *worker, const catalog::Split &split, ErrorData *error);

// An error before a split was claimed: fails or pauses the job.
void record_planning_error(Worker *worker, ErrorData *error);

// An error that another try may not meet again, or that another worker of ours caused.
bool is_transient(const ErrorData *error);

} // namespace stride::process
