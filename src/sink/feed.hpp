// The feed of an INSERT: stands between the executor's ModifyTable and the plan of its rows, counts them, puts them in
// the order of the conflict key, and on request drops all but the last of those with one key.
// Regime: pg.  Locks: AccessShareLock on the target's indexes, for a moment. Sessions that insert or update rows of a
// unique key in its order can't wait for each other in a circle.
#pragma once

#include "pg/pg.hpp"

namespace stride::sink {

// Adds a feed to a planned INSERT.  Rows are ordered if it has ON CONFLICT and a key of plain columns decides the
// conflict; rows with equal keys keep the order in which they come.  `keeps_last`: of rows with equal keys only the
// last is handed on. Does nothing to other statements, nor to a plan with helper columns.
void add_feed(PlannedStmt *plan, bool keeps_last);

// What the feed of an executed query has counted.
struct Fed {
    uint64 rows;    // that the plan gave
    uint64 dropped; // of them, those before the last one of their key
};
Fed fed_rows(const QueryDesc *query, uint64 otherwise);

} // namespace stride::sink
