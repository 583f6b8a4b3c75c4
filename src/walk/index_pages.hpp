// The look ahead through the pages of the key's index, without the executor and its costs: the leaf pages of a
// range are read from left to right, and their entries counted whose rows are visible.
// Regime: pg.  Locks: AccessShareLock on the walked table and the index; a share lock on one page at a time, while it is
// copied.  May not run user code but the key types' own comparisons.
//
// What counts is what counts for an index-only scan, in the same order of events.  A page stays pinned until its entries
// are judged, so that VACUUM can't give the place of a dead row to another one before that; the visibility map is read
// after the page, as an insertion clears its bit before it enters the index; where a bit is not set, the row itself is
// looked at under the active snapshot.  A page that is split or emptied meanwhile does no harm: what moves right from a
// copied page was counted in the copy, and what arrives later is not visible.
#pragma once

#include "walk/peek.hpp"

namespace stride::walk {

// Whether the pages can answer for the query that peek() would run as the current user: a range with an upper bound of
// a heap table's B-tree, without row security, with the right to read the key, and entries that hold its values as they
// are.
bool pages_suffice(const Key &key, const KeyRange &range);

// The same as peek(), where they suffice.
Peek peek_pages(const Key &key, const KeyRange &range, int64 limit);

} // namespace stride::walk
