// The block walk: the rows of a table in the order of their place in it, for tables without a key. Its key is the
// system column ctid, so that splits, chunks, bisecting and rejects are those of a key walk; a range of it is read by a
// TID range scan.  A place is a row's name only while nobody writes the table: the job's keeper holds SHARE on it
// (process/keeper.hpp).
// Regime: pg.  Locks: at least AccessShareLock on the table, held by the caller.  May not write.
#pragma once

#include "walk/key.hpp"
#include "walk/sample.hpp"

namespace stride::walk {

// Raises 0A000 for what is no heap table.
void require_blocks(Relation relation);

// The key that stands for the places of the rows of `relation`, the source or one of its leaves.
Key block_key(Oid relation, Oid source);

// At most `wanted` places, evenly spaced, and as upper bound the end of the last block that there is now.
Sample sample_blocks(Relation relation, const Key &key, int wanted);

// The file that the places are in, which a rewrite of the table (VACUUM FULL, CLUSTER, TRUNCATE) replaces: a part of
// the key's shape (walk/key.hpp).
char *file_of(Oid relation);

// The oldest transaction that runs now, as a full id.  With SHARE on a table held, no row of it is by that one or a
// later one that has not ended.
uint64 oldest_running();

// With SHARE on the table held, looks through all of it for a row version that a transaction from `since` on has
// inserted and committed, also one that is dead again; *place is where one is.  Ids are told apart by their 32 low
// bits: raises 55000 once 2^31 of them were used since.
bool was_written(Relation relation, uint64 since, ItemPointerData *place);

} // namespace stride::walk
