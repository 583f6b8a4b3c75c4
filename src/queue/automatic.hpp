// The number of workers of jobs that choose it by themselves (workers => 0): looks at what their workers wait for, and
// applies the law of core/worker_count.hpp.
// Regime: pg.  Only the scheduler calls these.
#pragma once

#include "queue/queue.hpp"

namespace stride::queue {

constexpr long look_ms = 200;

// How many workers the job is to have now: as asked for, or as it has chosen.
int wanted_workers(Queue *queue, const catalog::Job &job);

// Looks at the workers of all jobs that choose by themselves.  True when one of them wants another number now.  In no
// transaction; takes no lock for longer than a look at shared memory.
bool look_at_workers(Queue *queue);

} // namespace stride::queue
