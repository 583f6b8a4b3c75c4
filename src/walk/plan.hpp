// Plans a query of the walk and sees to it that the driving relation is reached through its key; runs our own queries.
// Regime: pg.  Locks: those that parse analysis, rewriting and planning take.  May not write anything by itself.
#pragma once

#include "pg/pg.hpp"

namespace stride::walk {

struct KeyPlan {
    PlannedStmt *statement;
    bool through_key; // the driving relation is read by an index or bitmap scan of the key with an index condition on a
                      // constant (for a bitmap OR: in each arm), or the plan does not read it at all
    bool sorts;       // a Sort or IncrementalSort stands in the main plan; what subplans do (a row security policy's
                      // sublinks among them) does not matter to the order of its rows
};

// Rewrites (rules, views, row security) and plans one analysed query with custom bounds in it; where the plan does not reach
// `relation` through `index`, it is planned again with sequential scans off (and JIT as the first plan had it, for the
// penalty for what has no other path would look like an expensive query), and that plan is taken if it does.
// `query` is consumed.  No parallel plans.  Raises 0A000 when rewriting yields anything but one query.
// Under row security only leakproof operators reach an index: a key of numeric or an enum is then read by a Filter.
KeyPlan plan_through_key(Query *query, const char *sql, Oid relation, Oid index);

// Parse analysis of one SELECT of our own under search_path = pg_catalog, pg_temp.
Query *analyse_own(const char *sql);

// Runs a read-only plan as the current user under the active snapshot, until its end or until the receiver returns false.
void run_plan(PlannedStmt *statement, const char *sql, DestReceiver *receiver);

} // namespace stride::walk
