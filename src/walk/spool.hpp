// The rows of a query saved in a work table, with ordinals, and what their being dense spares the walk.
// Regime: pg.  Locks: RowExclusiveLock or more on the work table, held by the caller.
#pragma once

#include "walk/peek.hpp"
#include "walk/sample.hpp"

namespace stride::walk {

// Runs a plan under the active snapshot as the current user, and saves its rows in the order in which they come.  They
// have the work table's columns but the ordinal.  Ordinals go on after `last`, that of the rows saved before.  Returns
// how many there were; later commands of the transaction see them.
int64 save_rows(Relation work_table, PlannedStmt *plan, const char *sql, int64 last = 0);

// What sample_keys() would find among the ordinals after `before` and up to `last`, as catalog::number_key() has them.
Sample sample_between(int64 before, int64 last, int wanted);

// What sample_keys() would find in a work table, without a look at its rows: every ordinal is there.
Sample sample_ordinals(Relation work_table, const Key &key, int wanted);

// The same for peek().
Peek peek_ordinals(const Key &key, const KeyRange &range, int64 limit);

} // namespace stride::walk
