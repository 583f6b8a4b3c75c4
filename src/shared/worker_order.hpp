// What a scheduler tells a worker that it starts, in bgw_extra.
// Regime: pg.
#pragma once

#include "shared/area.hpp"

namespace stride::shared {

struct WorkerOrder {
    Oid database;
    Oid owner;
    int64 job_id;
    int64 cookie;
    int32 slot;
    int32 worker;
    Task task;
};
static_assert(sizeof(WorkerOrder) <= BGW_EXTRALEN);

} // namespace stride::shared
