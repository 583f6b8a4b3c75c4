// The shape of the walk: what a job relies on in its source, in words, so that it compares equal after a restore.
// Regime: pg.  Locks: the caller holds at least AccessShareLock on the relation.
#pragma once

#include "walk/key.hpp"

namespace stride::walk {

// "id bigint; name text COLLATE "en_US" version 153.14": each key column's name, type, direction and, where they are
// not the usual ones, the operators that it is ordered by and the collation with the version its provider has now.
// Behind them the policies that decide which rows of the source `owner` sees, if any do.  palloc'd.
char *key_shape(const Key &key, Oid owner);

} // namespace stride::walk
