// Control calls, taken from stride_catalog.request and the cancel flags, and applied to jobs.
// Regime: pg.  Only the scheduler calls these.
#pragma once

#include "catalog/request.hpp"

namespace stride::queue {

// Applies one request in the current transaction.  False when it has to wait for the job's present state to pass (a
// cancel or alter of a job that is pausing): it then stays in the table.
bool apply_request(const catalog::Request &request);

// Tells workers of a request whose transaction has committed: before, they would read the job's row as it was.
void announce_request(const catalog::Request &request);

// Turns the cancel flags of this database into cancels.
void apply_cancel_flags();

} // namespace stride::queue
