// Pages that a worker has added to its target ahead of need, so that workers do not queue for the extension lock page
// by page.  PostgreSQL adds several pages at a time by itself from 16 on; there all of this is table_multi_insert
// alone.
// Regime: pg.  Locks: the relation's extension lock, for as long as the pages are added; buffers one at a time.
#pragma once

#include "pg/pg.hpp"

namespace stride::sink {

// Makes the pool that of `relation`: pages that are left from an earlier chunk are kept where they still are the
// relation's.  At the start of each chunk, under the chunk's lock on the relation.
void open_page_pool(Relation relation);

// table_multi_insert into the relation of open_page_pool, into pages of the pool as far as there are any.
void insert_through_pool(Relation relation, TupleTableSlot **slots, int count, CommandId command,
                         BulkInsertState state);

// Gives the pages that are left to the free space map, for others to fill.  In a transaction, which it need not commit.
void release_page_pool();

} // namespace stride::sink
