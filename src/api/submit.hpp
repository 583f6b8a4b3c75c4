// What submit, run and explain share.
// Regime: pg.
#pragma once

#include "pipeline/compile.hpp"

namespace stride::api {

// What a caller of submit, submit_pipeline, run, run_pipeline, explain or explain_pipeline hands in.
struct Submission {
    job::Arguments common;
    char *statement;                     // of submit, run and explain
    const pipeline::Arguments *pipeline; // of the others; nullptr = a statement
};

// The arguments of stride.submit and stride.run (the same list), of stride.explain, and of their pipeline forms.
Submission statement_arguments(FunctionCallInfo fcinfo);
Submission pipeline_arguments(FunctionCallInfo fcinfo);
Submission explain_arguments(FunctionCallInfo fcinfo);
Submission explain_pipeline_arguments(FunctionCallInfo fcinfo);

// The job as it would be stored, not yet stored.
job::Prepared prepare(const Submission &submission);

// Stores the job, or finds the one that stands in for it (if_exists); returns its id.
int64 submit(const Submission &submission);

} // namespace stride::api
