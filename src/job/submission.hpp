// From the arguments of submit to a job that can be stored, or explained.
// Regime: pg.  Runs as the submitter; raises every refusal before anything is written.
#pragma once

#include "catalog/job.hpp"

namespace stride::job {

// The arguments of submit and explain; nullptr and 0 for NULL where nothing else is said.
struct Arguments {
    char *statement;
    char *name;
    char *if_exists;
    char *source_alias;
    ArrayType *key;
    char *walk;
    bool has_workers;
    int32 workers;
    int32 chunk_rows;
    char *on_error;
    bool has_reject_limit; // reject_limit or reject_percent was given
    ArrayType *depends_on;
    bool has_start_at;
    TimestampTz start_at;
    int32 priority;
    Jsonb *settings; // nullptr = '{}'
};

// A job as it would be stored, not yet stored; *warnings is what analysis has to say about it.
catalog::Job *prepare_job(const Arguments &arguments, List **warnings);

// The statement of a chunk, with $1 .. for the range's bounds: what explain shows.
char *chunk_statement_sql(const catalog::Job &job);

} // namespace stride::job
