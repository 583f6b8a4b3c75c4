// The saving of the rows that a job walks, where a query gives them.
// Regime: pg.  Locks: those of the query; ShareRowExclusiveLock on the work table, AccessExclusiveLock where an attempt
// that failed has left something in it.  Runs user code, as the job's owner, in an atomic context.
#pragma once

#include "analysis/statement.hpp"
#include "catalog/job.hpp"
#include "catalog/work_table.hpp"

namespace stride::job {

// Makes the work table for the rows of a query, still empty, in the current transaction.
catalog::WorkTable *make_work_table(const analysis::SourceQuery &query);

// Fills the work table of a job, in the current transaction, which goes on to plan it; does nothing if the job is
// planned.  Raises 55000 if the query means other tables than at submission or gives other columns, and what the query
// raises.
void save_source(const catalog::Job &job, const catalog::WorkTable &table);

// Plans the query that the table is for, under the active snapshot; the plan may be parallel.  Raises 55000 as
// save_source() does.
PlannedStmt *plan_source(const catalog::Job &job, const catalog::WorkTable &table);

// What the planner expects of it.
struct SpoolEstimate {
    double rows;
    double bytes; // of the work table and its key
};
SpoolEstimate estimate_spool(const catalog::WorkTable &table);

} // namespace stride::job
