// What submit, run and explain share.
// Regime: pg.
#pragma once

#include "job/submission.hpp"

namespace stride::api {

// The arguments of stride.submit and stride.run (the same list), and of stride.explain.
job::Arguments submit_arguments(FunctionCallInfo fcinfo);
job::Arguments explain_arguments(FunctionCallInfo fcinfo);

// Stores the job, or finds the one that stands in for it (if_exists); returns its id.
int64 submit(const job::Arguments &arguments);

} // namespace stride::api
