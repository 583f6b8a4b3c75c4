// The entries of many rows in a table's B-trees, put in by the page.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::sink {

// What is on its way into the indexes of one table.
struct IndexRuns;

// Takes charge of those indexes of `table` that can be entered by the page.  May keep entries of up to `most_bytes`, and a
// batch more, before it enters them.
IndexRuns *open_index_runs(EState *estate, const ResultRelInfo *table, Size most_bytes);

// The table with the indexes that are left to the executor.
ResultRelInfo *other_indexes(IndexRuns *runs);

// Forms the entries of a row that is in the heap; they are in the indexes after enter_index_runs.
void keep_entries(IndexRuns *runs, TupleTableSlot *slot);

// Enters what is kept, if that is much or `all` is set.
void enter_index_runs(IndexRuns *runs, bool all);

void close_index_runs(IndexRuns *runs);

} // namespace stride::sink
