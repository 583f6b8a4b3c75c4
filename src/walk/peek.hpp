// How far the next chunk reaches: a look ahead in the index that counts driving rows.
// Regime: pg.  Locks: AccessShareLock on the source and on the table that is walked, held by the caller.  Runs as the
// current user under the active snapshot, so that row security hides from the count what it hides from the chunk's
// statement.
#pragma once

#include "walk/key.hpp"
#include "walk/plan.hpp"

namespace stride::walk {

struct Peek {
    int64 rows;       // rows found, at most the limit
    KeyText last;     // key of the last row counted; nullptr when rows = 0
    bool reached_end; // fewer rows than the limit were left: the chunk ends at the range's upper bound
};

// Counts the first `limit` (at least 1) rows of `range` in key order.  A plan that sorts is an error (XX000), but for a
// promised key, whose rows are held against the promise: 55000 if two of them, up to the one after the last counted,
// have the same key, if one has a NULL in it, or if the other server has another order.  The current user needs SELECT
// on the key's columns (42501).
Peek peek(Relation source, const Key &key, const KeyRange &range, int64 limit);

// "SELECT k1, k2 FROM schema.source" with the key's columns in index order; palloc'd.
char *select_keys_sql(Relation source, const Key &key);

// The same with the ORDER BY of the index, or its reverse, and LIMIT unless it is every_row; palloc'd.
constexpr int64 every_row = PG_INT64_MAX;
char *ordered_keys_sql(Relation source, const Key &key, bool backward, int64 limit);

// Adds a condition to such a query, which has none; nullptr = none.
void add_condition(Query *query, Node *condition);

// How a statement is to reach the driving table: what a foreign server does with a range is its own matter.
Access access_of(const Key &key);

// The driving table of these queries.
Driving driving_of(Query *query, const Key &key);

// Plans a query of ordered_keys_sql() so that the index gives the order; raises XX000 if the plan sorts and the key is
// no promised one.
PlannedStmt *plan_in_key_order(Query *query, const char *sql, const Key &key);

// Whether the look ahead for a promised key sorts: then each one reads the whole table.
bool look_ahead_sorts(Relation source, const Key &key);

// A receiver of key rows that counts them, keeps the last one's values, and holds a promised key against its rows.
struct LastKey {
    DestReceiver receiver;
    MemoryContext memory; // of the kept values
    const Key *key;
    KeyOrder order; // of a promised key
    int64 most;     // rows to count, every_row at first
    int64 rows;
    bool more;                     // there was a row after the last that was counted
    Datum values[INDEX_MAX_KEYS];  // of the last row, valid if rows > 0
    Size capacity[INDEX_MAX_KEYS]; // bytes allocated for a value passed by reference
};
void prepare_last_key(const Key &key, LastKey *last);

} // namespace stride::walk
