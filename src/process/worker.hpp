// The worker: runs as the job's owner, plans the job if nobody has, claims splits and runs their chunks.
// Regime: pg.  Locks: none between chunks.  It never writes the job's row.
#pragma once

#include "pg/pg.hpp"

namespace stride::process {

// What a worker is told in bgw_extra.
struct WorkerOrder {
    Oid database;
    Oid owner;
    int64 job_id;
    int64 cookie;
    int32 slot;
    int32 worker;
};
static_assert(sizeof(WorkerOrder) <= BGW_EXTRALEN);

void worker_main();

} // namespace stride::process
