// The worker: runs as the job's owner, plans the job if nobody has, claims splits and runs their chunks.
// Regime: pg.  Locks: none between chunks.  It never writes the job's row.
#pragma once

namespace stride::process {

void worker_main();

} // namespace stride::process
