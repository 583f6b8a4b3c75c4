// A driving row as jsonb, for the rejects.
// Regime: pg.  Locks: AccessShareLock on the relation, held by the caller.  Runs as the current user under the active
// snapshot; runs the output functions of the columns' types, and casts to json where a type has one.
#pragma once

#include "walk/key.hpp"

namespace stride::job {

// The first row that meets the condition on range table entry 1, with those of its columns that the current user may
// read; nullptr if there is none.
Jsonb *row_data(Relation source, const walk::Key &key, Node *qual);

} // namespace stride::job
