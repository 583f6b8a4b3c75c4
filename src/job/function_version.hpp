// Which definition of a function a job runs: its row in pg_proc changes with CREATE OR REPLACE, ALTER, GRANT and DROP.
// Regime: pg.  Locks: none.
#pragma once

#include "catalog/job.hpp"

namespace stride::job {

// xmin of the function's row in pg_proc; -1 if there is none.
int64 function_version(Oid function);

// Raises 55000 if the function of the job's transform is not the one that the job was given.
void require_transform_version(const catalog::Job &job);

} // namespace stride::job
