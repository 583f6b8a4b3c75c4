// The queue: moves every unfinished job one step on, and starts workers under the caps, in order of priority and id.
// Regime: pg.  Only the scheduler calls these.
#pragma once

#include "catalog/job.hpp"

namespace stride::queue {

constexpr long active_wait_ms = 1000;  // a look at running jobs even if nobody wakes the scheduler
constexpr long slotless_wait_ms = 250; // a look for free worker slots: other databases do not wake this one's scheduler
constexpr long idle_wait_ms = 60000;

// Handles of registered workers, so that one that never came up gives its slot back.
struct StartedWorker {
    BackgroundWorkerHandle *handle;
    int slot;
    int64 cookie;
};

struct Queue {
    MemoryContext memory; // lives as long as the scheduler
    List *started;        // List of StartedWorker *
    List *automatic;      // queue/automatic.cpp's: the jobs that choose their number of workers
    bool starved;         // in this round a job got no worker at all
    bool starving;        // in the last round one did not
    TimestampTz
        next_spare_start; // when a worker may be started again for a job that has nothing to claim, only to halve
};

// Advances one job in the current transaction.  Returns in how many ms it should be looked at again; -1 = it needs no
// scheduler (paused, finished).
long advance_job(Queue *queue, catalog::Job *job);

// Begins a round over all jobs: gives back the slots of workers that ended without ever attaching.
void begin_round(Queue *queue);

} // namespace stride::queue
