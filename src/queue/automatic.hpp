// The number of workers of jobs that choose it by themselves (workers => 0): looks at what their workers wait for, and
// applies the law of core/worker_count.hpp.
// Regime: pg.  What takes a queue is the scheduler's.
#pragma once

#include "queue/queue.hpp"

namespace stride::queue {

constexpr long look_ms = 200;

// How many workers such a job begins with if nothing stands against it: one a core.
int automatic_start();

// How many it would begin with now, over a table of about so many rows.
int automatic_start(Oid owner, double rows);

// How many workers the job, which walks about so many rows in all, is to have now: as asked for, or as it has chosen.
// One that is small and has just begun has one: it may have ended before another has started.
int wanted_workers(Queue *queue, const catalog::Job &job, int64 rows);

// Looks at the workers of all jobs that choose by themselves.  True when one of them wants another number now.  In no
// transaction; takes no lock for longer than a look at shared memory.
bool look_at_workers(Queue *queue);

} // namespace stride::queue
