// The descent of a B-tree, whose arguments differ from release to release.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::sink {

// The leaf page that a search key belongs on, or the first that it may be on; pinned, and locked as `access` says
// (BT_READ, BT_WRITE).  InvalidBuffer if the index is empty and is only read.  Before 17, with a snapshot the descent
// fails if that is too old to see what was on its pages; nullptr does not look.
inline Buffer find_leaf(Relation index, [[maybe_unused]] Relation table, BTScanInsert key, int access,
                        [[maybe_unused]] Snapshot snapshot) {
    Buffer leaf = InvalidBuffer;
#if PG_VERSION_NUM >= 170000
    BTStack path = _bt_search(index, table, key, &leaf, access);
#elif PG_VERSION_NUM >= 160000
    BTStack path = _bt_search(index, table, key, &leaf, access, snapshot);
#else
    BTStack path = _bt_search(index, key, &leaf, access, snapshot);
#endif
    _bt_freestack(path);
    return leaf;
}

// The leftmost leaf page of the index; pinned, and locked for reading.  InvalidBuffer and the snapshot as above.
inline Buffer first_leaf(Relation index, [[maybe_unused]] Snapshot snapshot) {
#if PG_VERSION_NUM >= 170000
    return _bt_get_endpoint(index, 0, false);
#else
    return _bt_get_endpoint(index, 0, false, snapshot);
#endif
}

} // namespace stride::sink
