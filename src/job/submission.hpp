// From the arguments of submit to a job that can be stored, or explained.
// Regime: pg.  Runs as the submitter; raises every refusal before anything is written.
#pragma once

#include "analysis/statement.hpp"
#include "catalog/job.hpp"
#include "catalog/leaf.hpp"
#include "catalog/work_table.hpp"

namespace stride::job {

// The arguments that every submission and explanation has; nullptr and 0 for NULL where nothing else is said.
struct Arguments {
    char *name;
    char *if_exists;
    char *source_alias;
    ArrayType *key;
    char *walk;
    bool has_workers;
    int32 workers;
    int32 chunk_rows;
    char *on_error;
    bool has_reject_limit;
    int64 reject_limit;
    Datum reject_percent; // numeric, 0 = NULL
    ArrayType *depends_on;
    bool has_start_at;
    TimestampTz start_at;
    int32 priority;
    Jsonb *settings; // nullptr = '{}'
};

// What is to be run: the statement that was submitted, or the one that a pipeline was compiled to.
struct Work {
    const char *kind;      // "statement" or "pipeline"
    const char *statement; // as it was submitted; nullptr for a pipeline
    analysis::Parsed parsed;
    bool own_levels;                      // as in analysis::AnalysisOptions
    const char *source_alias;             // of the driving relation; nullptr = that of the arguments
    Oid source;                           // of a pipeline; InvalidOid for a statement
    const catalog::WorkTable *work_table; // the source, where it is one; nullptr = it is not
    Oid target;
    Jsonb *pipeline; // the arguments of submit_pipeline, nullptr for a statement
    const char *indexes;
    bool one_to_one; // for an INSERT: each driving row is written at most once
    bool keeps_last;
    bool deletes_source;
    ArrayType *transform; // as in catalog::Job
    Oid transform_oid;
    int64 transform_version;
    List *notes; // List of char *: what explain has to say besides
};

// The work of stride.submit(statement).  Raises what analysis::parse_statement() raises.
Work statement_work(const char *statement);

// A job as it would be stored, not yet stored.
struct Prepared {
    catalog::Job *job;
    const catalog::WorkTable *work_table; // nullptr = none
    const char *walk_reason;              // why that walk was taken; nullptr = it is the usual one
    List *leaves;   // the tables that it would walk if it were planned now: List of catalog::Leaf *
    List *warnings; // what analysis has to say about it: List of char *
};

// Where what drives a statement has no key, and nothing is said of how to walk it, makes a work table for its rows, still
// empty, in the current transaction.
Prepared prepare_job(Work work, const Arguments &arguments);

// The statement of a chunk of one leaf, with $1 .. for the range's bounds: what explain shows.
char *chunk_statement_sql(const catalog::Job &job, const catalog::Leaf &leaf);

} // namespace stride::job
