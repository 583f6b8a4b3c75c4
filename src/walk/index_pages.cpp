// Pages of B-tree indexes.
// Regime: pg.
#include "walk/index_pages.hpp"

#include "sink/btree.hpp"

namespace stride::walk {
namespace {

struct PageScan {
    Relation table;
    Relation index;
    BTScanInsert lower; // nullptr = from the first entry on
    BTScanInsert upper;
    int64 limit;
    Buffer leaf;         // pinned, not locked
    PGAlignedBlock page; // its copy
    Buffer map;          // of the visibility map
    BlockNumber block;   // of the table: the last one that the map was asked for since the page was copied
    bool all_visible;    // what it said
    IndexFetchTableData *fetch;
    TupleTableSlot *row;
    int64 rows;
    IndexTuple last; // the entry of the last row
};

bool may_read(const Key &key) {
    if (pg_class_aclcheck(key.source, GetUserId(), ACL_SELECT) == ACLCHECK_OK) return true;
    for (int i = 0; i < key.ncolumns; i++)
        if (pg_attribute_aclcheck(key.source, key.columns[i].attno, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
            return false;
    return true;
}

// An index on a name holds C strings.
bool holds_values(const Key &key) {
    Relation index = index_open(key.index, AccessShareLock);
    bool same = true;
    for (int i = 0; i < key.ncolumns; i++)
        same = same && TupleDescAttr(RelationGetDescr(index), i)->atttypid == key.columns[i].column_type;
    index_close(index, NoLock);
    return same;
}

bool is_heap(Oid relation) {
    Relation table = table_open(relation, AccessShareLock);
    const bool heap = table->rd_rel->relam == HEAP_TABLE_AM_OID;
    table_close(table, NoLock);
    return heap;
}

// A bound in the form in which the index looks for the first entry behind it; nullptr for none.
BTScanInsert search_for(Relation index, const Key &key, KeyText bound) {
    if (bound == nullptr) return nullptr;
    Datum values[INDEX_MAX_KEYS] = {};
    bool isnull[INDEX_MAX_KEYS];
    text_to_values(key, bound, values);
    for (int i = 0; i < INDEX_MAX_KEYS; i++)
        isnull[i] = i >= key.ncolumns; // those of INCLUDE
    BTScanInsert search = _bt_mkscankey(index, index_form_tuple(RelationGetDescr(index), values, isnull));
    search->nextkey = true;
    search->scantid = nullptr;
    return search;
}

// Takes a locked page: copies it, and lets go of the lock.
void take_page(PageScan *scan, Buffer leaf) {
    scan->leaf = leaf;
    memcpy(scan->page.data, BufferGetPage(leaf), BLCKSZ);
    _bt_unlockbuf(scan->index, leaf);
    scan->block = InvalidBlockNumber;
#if PG_VERSION_NUM < 170000
    TestForOldSnapshot(GetActiveSnapshot(), scan->index, scan->page.data);
#endif
}

// False if there is no page to the right.
bool step_right(PageScan *scan) {
    const BlockNumber next = BTPageGetOpaque(scan->page.data)->btpo_next;
    ReleaseBuffer(scan->leaf);
    scan->leaf = InvalidBuffer;
    if (next == P_NONE) return false;
    take_page(scan, _bt_getbuf(scan->index, next, BT_READ));
    return true;
}

OffsetNumber first_behind(PageScan *scan, BTScanInsert bound) {
    Page page = scan->page.data;
    int low = P_FIRSTDATAKEY(BTPageGetOpaque(page));
    if (bound == nullptr) return static_cast<OffsetNumber>(low);
    int high = static_cast<OffsetNumber>(PageGetMaxOffsetNumber(page)) + 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (_bt_compare(scan->index, bound, page, static_cast<OffsetNumber>(middle)) >= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return static_cast<OffsetNumber>(low);
}

bool is_visible(PageScan *scan, ItemPointerData place) {
    const BlockNumber block = ItemPointerGetBlockNumber(&place);
    if (block != scan->block) {
        scan->block = block;
        scan->all_visible = VM_ALL_VISIBLE(scan->table, block, &scan->map);
    }
    bool more = false;
    return scan->all_visible ||
           table_index_fetch_tuple(scan->fetch, &place, GetActiveSnapshot(), scan->row, &more, nullptr);
}

// Versions of one row may share an entry; at most one of them is visible.
bool has_visible_row(PageScan *scan, IndexTuple entry) {
    if (!BTreeTupleIsPosting(entry)) return is_visible(scan, entry->t_tid);
    for (int i = 0; i < BTreeTupleGetNPosting(entry); i++)
        if (is_visible(scan, *BTreeTupleGetPostingN(entry, i))) return true;
    return false;
}

// Counts the rows of the page; false if none further to the right are asked for.
bool count_page(PageScan *scan) {
    Page page = scan->page.data;
    if (P_IGNORE(BTPageGetOpaque(page))) return true;
    IndexTuple last = nullptr;
    const OffsetNumber end = first_behind(scan, scan->upper);
    for (OffsetNumber offset = first_behind(scan, scan->lower); offset < end && scan->rows < scan->limit; offset++) {
        ItemId item = PageGetItemId(page, offset);
        if (ItemIdIsDead(item)) continue;
        auto *entry = reinterpret_cast<IndexTuple>(PageGetItem(page, item));
        if (!has_visible_row(scan, entry)) continue;
        scan->rows++;
        last = entry;
    }
    if (last != nullptr) {
        if (scan->last != nullptr) pfree(scan->last);
        scan->last = CopyIndexTuple(last);
    }
    return scan->rows < scan->limit && end > PageGetMaxOffsetNumber(page);
}

void count(PageScan *scan) {
    // Where the first entry behind the lower bound is, or a page to the left of it.
    const Buffer first = scan->lower == nullptr
                             ? sink::first_leaf(scan->index, GetActiveSnapshot())
                             : sink::find_leaf(scan->index, scan->table, scan->lower, BT_READ, GetActiveSnapshot());
    if (!BufferIsValid(first)) return; // the index is empty
    take_page(scan, first);
    while (count_page(scan) && step_right(scan))
        CHECK_FOR_INTERRUPTS();
    if (BufferIsValid(scan->leaf)) ReleaseBuffer(scan->leaf);
    if (BufferIsValid(scan->map)) ReleaseBuffer(scan->map);
}

KeyText key_of(const Key &key, Relation index, IndexTuple entry) {
    Datum values[INDEX_MAX_KEYS];
    bool isnull[INDEX_MAX_KEYS];
    index_deform_tuple(entry, RelationGetDescr(index), values, isnull);
    return key_to_text(key, values);
}

} // namespace

bool pages_suffice(const Key &key, const KeyRange &range) {
    if (!OidIsValid(key.index) || range.upper == nullptr) return false;
    return check_enable_rls(key.source, InvalidOid, true) != RLS_ENABLED && may_read(key) && is_heap(key.relation) &&
           holds_values(key);
}

Peek peek_pages(const Key &key, const KeyRange &range, int64 limit) {
    PageScan scan = {};
    scan.table = table_open(key.relation, AccessShareLock);
    scan.index = index_open(key.index, AccessShareLock);
    scan.lower = search_for(scan.index, key, range.lower);
    scan.upper = search_for(scan.index, key, range.upper);
    scan.limit = limit;
    scan.fetch = table_index_fetch_begin(scan.table);
    scan.row = table_slot_create(scan.table, nullptr);
    count(&scan);
    table_index_fetch_end(scan.fetch);
    ExecDropSingleTupleTableSlot(scan.row);
    const KeyText last = scan.rows > 0 ? key_of(key, scan.index, scan.last) : nullptr;
    index_close(scan.index, NoLock);
    table_close(scan.table, NoLock);
    return Peek{scan.rows, last, scan.rows < limit};
}

} // namespace stride::walk
