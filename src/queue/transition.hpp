// A job's change of state, checked against the one table of edges and written down as an event.
// Regime: pg.  Only the scheduler calls these, in a transaction of its own.
#pragma once

#include "catalog/job.hpp"
#include "catalog/request.hpp"

namespace stride::queue {

// Moves the job along an edge of core/job_state.hpp, else raises XX000; `job` is brought up to date.  `reason` is shown
// as the state's reason and as the event's detail; nullptr = none.
void move_job(catalog::Job *job, core::JobState to, const catalog::Actor &by, const char *event, const char *reason);

// Pauses a queued or running job on the server's own account.
void hold_job(catalog::Job *job, const char *reason);

} // namespace stride::queue
