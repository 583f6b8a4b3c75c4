// The scheduler's main; see scheduler.cpp.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::process {

void scheduler_main(Oid database);

} // namespace stride::process
