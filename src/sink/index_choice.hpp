// Which indexes of a load's target are dropped while it runs and rebuilt at its end (indexes => 'rebuild').
// Regime: pg.  The caller holds a lock on the target; each index is opened with AccessShareLock, kept to the
// transaction's end.
#pragma once

#include "pg/pg.hpp"

namespace stride::sink {

struct IndexChoice {
    Oid index;
    char *name;
    const char *kept; // why it stays; nullptr = it is dropped and rebuilt
};

// Every index of the target.
List *choose_indexes(Relation target); // List of IndexChoice *

// Raises what speaks against dropping indexes of the target, as the current user: 0A000 for a kind of table or a
// foreign key that stands against it, 42501 without the rights to create them again, 55000 when it is not empty.
void require_rebuildable(Relation target);

} // namespace stride::sink
