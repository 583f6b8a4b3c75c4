// Plans a query of the walk and sees to it that the driving relation is reached through its key; runs our own queries.
// Regime: pg.  Locks: those that parse analysis, rewriting and planning take.  May not write anything by itself.
#pragma once

#include "pg/child_table.hpp"

namespace stride::walk {

// How the driving table of a query is to be reached: any way; by an index or bitmap scan of the key with an index
// condition on a constant (for a bitmap OR: in each arm); or by such a scan with any condition, as a look-up of each
// key has.
enum class Access : unsigned char { any, key, key_lookup };

// The driving table of a query.
struct Driving {
    RangeTblEntry *entry;  // where the query names it
    RangeTblEntry *second; // where it names it again, to be read alike; nullptr mostly
    pg::ChildTable table;  // what is to be read there
    Access access;
    Oid index; // of the key
};

struct WalkPlan {
    PlannedStmt *statement;
    bool as_wanted; // the driving table is reached by the access, or the plan does not read it at all
    bool sorts;     // a Sort or IncrementalSort stands in the main plan; what subplans do (a row security policy's
                    // sublinks among them) does not matter to the order of its rows
};

// Rewrites (rules, views, row security) and plans one analysed query with custom bounds in it, against the table alone
// that is walked; where the plan does not reach it as wanted, it is planned again with sequential scans off (and JIT as
// the first plan had it, for the penalty for what has no other path would look like an expensive query), and that plan
// is taken if it does.  `query` is consumed.  No parallel plans.  Raises 0A000 when rewriting yields anything but one
// query. Under row security only leakproof operators reach an index: a key of numeric or an enum is then read by a
// Filter.
WalkPlan plan_walk(Query *query, const char *sql, const Driving &driving);

// Plans a query as it stands, over all children.
PlannedStmt *plan_whole(Query *query, const char *sql);

// The same for a query that is run as a whole and whose rows are written elsewhere: the plan may be parallel, as far as
// the role's settings have it so.
PlannedStmt *plan_parallel(Query *query, const char *sql);

// Parse analysis of one SELECT of our own under search_path = pg_catalog, pg_temp.
Query *analyse_own(const char *sql);

// Runs a read-only plan as the current user under the active snapshot, until its end or until the receiver returns
// false.
void run_plan(PlannedStmt *statement, const char *sql, DestReceiver *receiver);

} // namespace stride::walk
