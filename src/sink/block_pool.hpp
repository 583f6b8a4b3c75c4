// A few pages at the end of a table that only this backend knows of: one extension lock for all of them, so that parallel
// writers do not queue for it at every page.  PostgreSQL 16 and later do so themselves; there the pool stays empty.
// Regime: pg.  Locks: the relation extension lock while the pages are added.  Lives within one transaction.
#pragma once

#include "pg/pg.hpp"

namespace stride::sink {

struct BlockPool {
    static constexpr BlockNumber blocks = 64;

    Relation relation;
    BlockNumber next; // first page not handed out yet
    BlockNumber end;  // one after the last page of the pool
    Size room;        // what heap_multi_insert can still put on the page handed out last
};

BlockPool open_pool(Relation relation);

// How many of the tuples in `slots` fit on the page that the bulk insert state points to now; points it to a fresh page
// first when the next tuple does not fit.  `count` itself where the pool has nothing to say (another version of the
// server, tuples to be toasted).
int fill_page(BlockPool *pool, BulkInsertState state, TupleTableSlot **slots, int count);

// Tells the free space map about the pages that were never handed out.
void close_pool(BlockPool *pool);

} // namespace stride::sink
