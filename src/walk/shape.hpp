// The shape of the walk key: what a job relies on in its source, in words, so that it compares equal after a restore.
// Regime: pg.  Locks: the caller holds at least AccessShareLock on the relation.
#pragma once

#include "walk/key.hpp"

namespace stride::walk {

// "id bigint; name text COLLATE "en_US" version 153.14": each key column's name, type and, where it has one, the
// collation with the version its provider has now.  palloc'd.
char *key_shape(const Key &key);

} // namespace stride::walk
