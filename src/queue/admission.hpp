// Whether a job may run now: its start time, its predecessors, its owner's rights, the switch stride.enabled.
// Regime: pg.
#pragma once

#include "catalog/job.hpp"

namespace stride::queue {

struct Admission {
    const char *hold; // not before somebody mends it and resumes the job; nullptr = nothing stands against it
    const char *wait; // not yet: what it waits for; nullptr = may go on
    long wait_ms;     // when to look again
    bool leave;       // it may wait for long: its workers end meanwhile, so that others get their slots
};

// Why the owner may not run the job; nullptr if it may.
const char *owner_refusal(const catalog::Job &job);

Admission admit(const catalog::Job &job);

// Why the present run of a job that has read `rows_read` rows is to end: its max_run_time or max_rows is used up;
// nullptr = it goes on.
const char *spent(const catalog::Job &job, int64 rows_read);

} // namespace stride::queue
