// How far the next chunk reaches: a look ahead in the index that counts driving rows.
// Regime: pg.  Locks: AccessShareLock on the source and on the table that is walked, held by the caller.  Runs as the current user under the active
// snapshot, so that row security hides from the count what it hides from the chunk's statement.
#pragma once

#include "walk/key.hpp"
#include "walk/plan.hpp"

namespace stride::walk {

struct Peek {
    int64 rows;       // rows found, at most the limit
    KeyText last;     // key of the last row counted; nullptr when rows = 0
    bool reached_end; // fewer rows than the limit were left: the chunk ends at the range's upper bound
};

// Counts the first `limit` (at least 1) rows of `range` in key order.  A plan that sorts is an error (XX000).  The current
// user needs SELECT on the key's columns (42501).
Peek peek(Relation source, const Key &key, const KeyRange &range, int64 limit);

// "SELECT k1, k2 FROM schema.source" with the key's columns in index order; palloc'd.
char *select_keys_sql(Relation source, const Key &key);

// The same with the ORDER BY of the index, or its reverse, and LIMIT; palloc'd.
char *ordered_keys_sql(Relation source, const Key &key, bool backward, int64 limit);

// The driving table of these queries.
Driving driving_of(Query *query, const Key &key);

// Plans a query of ordered_keys_sql() so that the index gives the order; raises XX000 if the plan sorts.
PlannedStmt *plan_in_key_order(Query *query, const char *sql, const Key &key);

// A receiver of key rows that counts them and keeps the last one's values.
struct LastKey {
    DestReceiver receiver;
    MemoryContext memory; // of the kept values
    int64 rows;
    int ncolumns;
    Datum values[INDEX_MAX_KEYS];  // of the last row, valid if rows > 0
    Size capacity[INDEX_MAX_KEYS]; // bytes allocated for a value passed by reference
};
void prepare_last_key(const Key &key, LastKey *last);

} // namespace stride::walk
