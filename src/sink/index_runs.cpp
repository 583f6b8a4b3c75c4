// The entries of many rows in a table's B-trees, put in by the page: one descent from the root, one page lock and one WAL
// record for all entries that follow each other on a leaf page, which btinsert has for each.
// Regime: pg.  Locks what btinsert locks: one leaf page at a time while it adds, which _bt_search has found and locked.
//
// A run of entries is added to the copy of the page that Generic WAL hands out, and nothing but Generic WAL writes the page.
// So an error of a comparison leaves it as it was.  Only the plain case is ours: an entry goes between two items of the
// page, neither equal to it, and there is room.  _bt_doinsert has all others, one by one, with no page locked by us: it
// splits, deletes the dead, merges duplicates, waits for other transactions, and finds the violations of uniqueness.
//
// Why the page is the right one, and the key unique where it must be.  As in _bt_doinsert the search key of a unique index
// has no tid, so that _bt_search ends at the first page that may hold an equal key, and items compare as equal by the key
// alone.  The key for which it descended belongs on the page unless it is not below the high key.  A key that follows it
// does too, if it is also above an item of the page: then it is above all pages to the left.  A key below an item of the
// page, or below the high key, is below all pages to the right.  So no equal key is anywhere, and whoever else brings one
// must lock this page first.  Equal keys of one run meet on the copy: the second is left to _bt_doinsert, after the first is
// in the index.
//
// Generic WAL replays the bytes that differ.  Hint bits (LP_DEAD, BTP_HAS_GARBAGE) may be missing where it replays, never more
// than there were here; so an item that takes the place of a dead one differs, and is not dead there either.  A leaf insertion
// is no conflict with a standby's queries.
#include "sink/index_runs.hpp"

#include "sink/btree.hpp"

namespace stride::sink {
namespace {

constexpr Size largest_entry = BLCKSZ / 4; // nothing to gain above it; above a third of a page it is an error

// Where an index's keys come in no order, its runs are short, and a page's copy costs more than they save.
constexpr int judged_runs = 16;
constexpr int worthwhile_entries = 8; // a run

struct Tree {
    Relation index;
    IndexInfo *info;
    BTScanInsert key; // set to one entry after another
    IndexTuple *entries;
    int count;
    int capacity;
    int runs; // since they were last judged
    int run_entries;
    bool scattered; // left to _bt_doinsert
};

// The page that a run is added to.
struct Leaf {
    Page page; // the copy
    BTPageOpaque opaque;
    OffsetNumber last; // where the entry before went; at first the last item
};

} // namespace

struct IndexRuns {
    EState *estate;
    Relation heap;
    MemoryContext memory; // of all that is here
    MemoryContext kept;   // of entries
    Size most_bytes;
    int ntrees;
    Tree *trees;
    ResultRelInfo others;
};

namespace {

// Indexes before version 4 have equal keys in any order.
bool takes_runs(Relation index, const IndexInfo *info) {
    if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indimmediate || !info->ii_ReadyForInserts ||
        info->ii_ExclusionOps != nullptr)
        return false;
    bool ordered_by_tid;
    bool allows_posting;
    _bt_metaversion(index, &ordered_by_tid, &allows_posting);
    return ordered_by_tid;
}

Tree make_tree(Relation index, IndexInfo *info) {
    Tree tree = {};
    tree.index = index;
    tree.info = info;
    tree.key = _bt_mkscankey(index, nullptr);
    tree.key->keysz = IndexRelationGetNumberOfKeyAttributes(index);
    _bt_metaversion(index, &tree.key->heapkeyspace, &tree.key->allequalimage);
    return tree;
}

// NULLs are never equal in a unique index, unless it says otherwise.
void set_key(const Tree *tree, IndexTuple entry) {
    BTScanInsert key = tree->key;
    bool nulls = false;
    for (int i = 0; i < key->keysz; i++) {
        ScanKey column = &key->scankeys[i];
        bool isnull;
        column->sk_argument = index_getattr(entry, i + 1, RelationGetDescr(tree->index), &isnull);
        column->sk_flags = isnull ? column->sk_flags | SK_ISNULL : column->sk_flags & ~SK_ISNULL;
        nulls = nulls || isnull;
    }
    const Form_pg_index form = tree->index->rd_index;
    const bool unique = form->indisunique && (!nulls || form->indnullsnotdistinct);
    key->scantid = unique ? nullptr : &entry->t_tid;
}

OffsetNumber last_item(Page page) {
    return static_cast<OffsetNumber>(PageGetMaxOffsetNumber(page)); // a size on 15
}

// The first item of the page that is above the search key, or the place after the last one; InvalidOffsetNumber if one is
// equal.  As most keys come in order, it is looked for first after the entry before, in steps that double.
OffsetNumber find_place(const Tree *tree, const Leaf *leaf) {
    int low = P_FIRSTDATAKEY(leaf->opaque);
    int high = last_item(leaf->page) + 1;
    int probe = leaf->last;
    bool nearby = true;
    for (int step = 1; low < high; step *= 2) {
        const int32 order = _bt_compare(tree->index, tree->key, leaf->page, static_cast<OffsetNumber>(probe));
        if (order == 0) return InvalidOffsetNumber;
        if (order > 0)
            low = probe + 1;
        else
            high = probe;
        nearby = nearby && order > 0;
        probe = nearby ? Min(low + step - 1, high - 1) : low + (high - low) / 2;
    }
    return static_cast<OffsetNumber>(low);
}

// Adds an entry to the page, if that is where it belongs and it is a plain case.
bool add_entry(const Tree *tree, Leaf *leaf, IndexTuple entry, bool descended_for) {
    const Size size = MAXALIGN(IndexTupleSize(entry));
    if (size > largest_entry || PageGetFreeSpace(leaf->page) < size) return false;
    set_key(tree, entry);
    const OffsetNumber place = find_place(tree, leaf);
    if (place == InvalidOffsetNumber) return false;
    if (place == P_FIRSTDATAKEY(leaf->opaque) && !descended_for) return false;
    if (place > last_item(leaf->page) && !P_RIGHTMOST(leaf->opaque) &&
        _bt_compare(tree->index, tree->key, leaf->page, P_HIKEY) >= 0)
        return false;
    if (PageAddItem(leaf->page, reinterpret_cast<Item>(entry), size, place, false, false) == InvalidOffsetNumber)
        elog(ERROR, "could not add an entry to index \"%s\"", RelationGetRelationName(tree->index));
    leaf->last = place;
    return true;
}

// Enters the first entries, as many as follow each other on one page and are plain cases.  Returns how many.
int enter_run(const Tree *tree, Relation heap, IndexTuple *entries, int count) {
    set_key(tree, entries[0]);
    const Buffer buffer = find_leaf(tree->index, heap, tree->key, BT_WRITE, nullptr);
    CheckForSerializableConflictIn(tree->index, nullptr, BufferGetBlockNumber(buffer));
    GenericXLogState *log = GenericXLogStart(tree->index);
    Leaf leaf;
    leaf.page = GenericXLogRegisterBuffer(log, buffer, 0);
    leaf.opaque = BTPageGetOpaque(leaf.page);
    leaf.last = last_item(leaf.page);
    int entered = 0;
    while (entered < count && add_entry(tree, &leaf, entries[entered], entered == 0))
        entered++;
    if (entered > 0)
        (void)GenericXLogFinish(log);
    else
        GenericXLogAbort(log);
    _bt_relbuf(tree->index, buffer);
    return entered;
}

void enter_alone(const Tree *tree, Relation heap, IndexTuple entry) {
    (void)_bt_doinsert(tree->index, entry, tree->index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
                       false, heap);
}

void judge(Tree *tree, int run_entries) {
    tree->run_entries += run_entries;
    if (++tree->runs < judged_runs) return;
    tree->scattered = tree->run_entries < judged_runs * worthwhile_entries;
    tree->runs = 0;
    tree->run_entries = 0;
}

// Whether the entry goes between others, not to the right end.
bool lands_inside(const Tree *tree, Relation heap, IndexTuple entry) {
    set_key(tree, entry);
    const Buffer buffer = find_leaf(tree->index, heap, tree->key, BT_READ, nullptr);
    if (!BufferIsValid(buffer)) return false;
    const bool inside = !P_RIGHTMOST(BTPageGetOpaque(BufferGetPage(buffer)));
    _bt_relbuf(tree->index, buffer);
    return inside;
}

// Keys that grow at a B-tree's right end fill its pages.  Keys that grow below those of another worker do not: a full page
// is split in the middle, and nothing comes to its left half any more.  So 5 of 9 entries go first, and the others fill what
// they leave half full to 9/10.
void spread(IndexTuple *entries, int count) {
    IndexTuple *later = static_cast<IndexTuple *>(palloc(sizeof(IndexTuple) * static_cast<Size>(count)));
    int nfirst = 0;
    int nlater = 0;
    for (int i = 0; i < count; i++) {
        if (i * 5 % 9 < 5)
            entries[nfirst++] = entries[i];
        else
            later[nlater++] = entries[i];
    }
    memcpy(entries + nfirst, later, sizeof(IndexTuple) * static_cast<Size>(nlater));
    pfree(later);
}

void enter_tree(const IndexRuns *runs, Tree *tree) {
    if (tree->count > 0 && !tree->scattered && lands_inside(tree, runs->heap, tree->entries[tree->count - 1]))
        spread(tree->entries, tree->count);
    for (int done = 0; done < tree->count;) {
        CHECK_FOR_INTERRUPTS();
        ResetPerTupleExprContext(runs->estate);
        int entered = 0;
        if (!tree->scattered) {
            entered = enter_run(tree, runs->heap, tree->entries + done, tree->count - done);
            judge(tree, entered);
        }
        if (entered == 0) enter_alone(tree, runs->heap, tree->entries[done++]);
        done += entered;
    }
    tree->count = 0;
}

void keep(IndexRuns *runs, Tree *tree, IndexTuple entry) {
    if (tree->count == tree->capacity) {
        tree->capacity = Max(128, tree->capacity * 2);
        const Size bytes = sizeof(IndexTuple) * static_cast<Size>(tree->capacity);
        tree->entries = static_cast<IndexTuple *>(tree->entries == nullptr ? MemoryContextAlloc(runs->memory, bytes)
                                                                           : repalloc(tree->entries, bytes));
    }
    tree->entries[tree->count++] = entry;
}

bool is_indexed(const IndexRuns *runs, const Tree *tree) {
    IndexInfo *info = tree->info;
    if (info->ii_Predicate == NIL) return true;
    if (info->ii_PredicateState == nullptr) info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, runs->estate);
    return ExecQual(info->ii_PredicateState, GetPerTupleExprContext(runs->estate));
}

} // namespace

IndexRuns *open_index_runs(EState *estate, const ResultRelInfo *table, Size most_bytes) {
    MemoryContext memory = AllocSetContextCreate(estate->es_query_cxt, "pg_stride index runs", ALLOCSET_SMALL_SIZES);
    MemoryContext previous = MemoryContextSwitchTo(memory);
    IndexRuns *runs = static_cast<IndexRuns *>(palloc0(sizeof(IndexRuns)));
    runs->estate = estate;
    runs->heap = table->ri_RelationDesc;
    runs->memory = memory;
    runs->kept = AllocSetContextCreate(memory, "pg_stride index entries", 0, 8 * 1024, 64 * 1024);
    runs->most_bytes = most_bytes;
    runs->others = *table;
    runs->others.ri_NumIndices = 0;
    const Size indexes = static_cast<Size>(table->ri_NumIndices);
    runs->trees = static_cast<Tree *>(palloc0(sizeof(Tree) * indexes));
    runs->others.ri_IndexRelationDescs = static_cast<RelationPtr>(palloc0(sizeof(Relation) * indexes));
    runs->others.ri_IndexRelationInfo = static_cast<IndexInfo **>(palloc0(sizeof(IndexInfo *) * indexes));
    for (int i = 0; i < table->ri_NumIndices; i++) {
        Relation index = table->ri_IndexRelationDescs[i];
        IndexInfo *info = table->ri_IndexRelationInfo[i];
        if (takes_runs(index, info)) {
            runs->trees[runs->ntrees++] = make_tree(index, info);
            continue;
        }
        const int other = runs->others.ri_NumIndices++;
        runs->others.ri_IndexRelationDescs[other] = index;
        runs->others.ri_IndexRelationInfo[other] = info;
    }
    MemoryContextSwitchTo(previous);
    return runs;
}

ResultRelInfo *other_indexes(IndexRuns *runs) {
    return &runs->others;
}

void keep_entries(IndexRuns *runs, TupleTableSlot *slot) {
    GetPerTupleExprContext(runs->estate)->ecxt_scantuple = slot;
    for (int i = 0; i < runs->ntrees; i++) {
        Tree *tree = &runs->trees[i];
        if (!is_indexed(runs, tree)) continue;
        Datum values[INDEX_MAX_KEYS];
        bool isnull[INDEX_MAX_KEYS];
        FormIndexDatum(tree->info, slot, runs->estate, values, isnull);
        MemoryContext previous = MemoryContextSwitchTo(runs->kept);
        IndexTuple entry = index_form_tuple(RelationGetDescr(tree->index), values, isnull);
        MemoryContextSwitchTo(previous);
        entry->t_tid = slot->tts_tid;
        keep(runs, tree, entry);
    }
}

void enter_index_runs(IndexRuns *runs, bool all) {
    if (!all && MemoryContextMemAllocated(runs->kept, false) < runs->most_bytes) return;
    MemoryContext previous = MemoryContextSwitchTo(GetPerTupleMemoryContext(runs->estate));
    for (int i = 0; i < runs->ntrees; i++)
        enter_tree(runs, &runs->trees[i]);
    MemoryContextReset(runs->kept);
    MemoryContextSwitchTo(previous);
}

void close_index_runs(IndexRuns *runs) {
    MemoryContextDelete(runs->memory);
}

} // namespace stride::sink
