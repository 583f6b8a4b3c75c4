// Places as keys.
// Regime: pg.  Reads pages in share mode, through a ring of buffers.
#include "walk/block.hpp"

#include "pg/session.hpp"

namespace stride::walk {
namespace {

constexpr uint64 ids_told_apart = UINT64CONST(1) << 31;

ItemPointerData place_at(BlockNumber block, OffsetNumber offset) {
    return {{static_cast<uint16>(block >> 16), static_cast<uint16>(block & 0xffff)}, offset};
}

// The last place that a block may have.
KeyText end_of_block(const Key &key, BlockNumber block) {
    ItemPointerData place = place_at(block, MaxOffsetNumber);
    const Datum value = PointerGetDatum(&place);
    return encode_key(key, &value);
}

// Transactions from `since` on, less than 2^31 of them.
struct Window {
    TransactionId since;
    uint32 length;
};

// A frozen row keeps the id of its transaction.  With the table locked, a transaction that is neither frozen nor
// committed has failed.
bool came_in(const Window &window, HeapTupleHeader tuple) {
    const TransactionId id = HeapTupleHeaderGetRawXmin(tuple);
    if (!TransactionIdIsNormal(id) || id - window.since >= window.length) return false;
    return HeapTupleHeaderXminFrozen(tuple) || (!HeapTupleHeaderXminInvalid(tuple) && TransactionIdDidCommit(id));
}

bool page_was_written(Page page, const Window &window, OffsetNumber *offset) {
    const auto last = static_cast<OffsetNumber>(PageGetMaxOffsetNumber(page));
    for (*offset = FirstOffsetNumber; *offset <= last; (*offset)++) {
        ItemId item = PageGetItemId(page, *offset);
        if (ItemIdIsNormal(item) && came_in(window, reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item))))
            return true;
    }
    return false;
}

} // namespace

void require_blocks(Relation relation) {
    if (relation->rd_rel->relkind != RELKIND_RELATION || relation->rd_rel->relam != HEAP_TABLE_AM_OID)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("\"%s\" cannot be walked by blocks", RelationGetRelationName(relation)),
                 errdetail("It is not a table of the heap access method."),
                 errhint("Have its rows saved first: stride.submit_pipeline(target, source_query => 'SELECT ..').")));
}

Key block_key(Oid relation, Oid source) {
    const TypeCacheEntry *type = lookup_type_cache(TIDOID, TYPECACHE_BTREE_OPFAMILY);
    Key key = {};
    key.source = source;
    key.relation = relation;
    key.by_place = true;
    key.ncolumns = 1;
    KeyColumn &column = key.columns[0];
    column.attno = SelfItemPointerAttributeNumber;
    column.column_type = column.compare_type = TIDOID;
    column.column_typmod = -1;
    column.opfamily = type->btree_opf;
    column.opcintype = type->btree_opintype;
    return key;
}

Sample sample_blocks(Relation relation, const Key &key, int wanted) {
    Sample sample = {};
    const BlockNumber blocks = RelationGetNumberOfBlocks(relation);
    if (blocks == 0) return sample;
    const int level = pg::pin_output_settings();
    sample.upper = end_of_block(key, blocks - 1);
    sample.keys = static_cast<KeyText *>(palloc(sizeof(KeyText) * static_cast<Size>(Max(1, wanted))));
    const BlockNumber step = Max(1u, blocks / static_cast<BlockNumber>(wanted + 1));
    for (BlockNumber block = step; block < blocks && sample.nkeys < wanted; block += step)
        sample.keys[sample.nkeys++] = end_of_block(key, block - 1);
    pg::unpin(level);
    sample.rows_estimate = estimate_rows(relation);
    return sample;
}

char *file_of(Oid relation) {
    Relation opened = table_open(relation, NoLock);
#if PG_VERSION_NUM >= 160000
    const Oid file = opened->rd_locator.relNumber;
#else
    const Oid file = opened->rd_node.relNode;
#endif
    table_close(opened, NoLock);
    return psprintf(" in file %u", file);
}

uint64 oldest_running() {
    const TransactionId oldest = GetLatestSnapshot()->xmin;
    const FullTransactionId next = ReadNextFullTransactionId();
    return U64FromFullTransactionId(next) - static_cast<uint32>(XidFromFullTransactionId(next) - oldest);
}

bool was_written(Relation relation, uint64 since, ItemPointerData *place) {
    const uint64 length = U64FromFullTransactionId(ReadNextFullTransactionId()) - since;
    if (length >= ids_told_apart)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("nobody can tell whether \"%s\" was written since it was locked first",
                               RelationGetRelationName(relation)),
                        errdetail("More than two thousand million transactions have begun since."),
                        errhint("Submit the job again.")));
    const Window window = {static_cast<TransactionId>(since), static_cast<uint32>(length)};
    BufferAccessStrategy ring = GetAccessStrategy(BAS_BULKREAD);
    const BlockNumber blocks = RelationGetNumberOfBlocks(relation);
    bool written = false;
    for (BlockNumber block = 0; block < blocks && !written; block++) {
        CHECK_FOR_INTERRUPTS();
        Buffer buffer = ReadBufferExtended(relation, MAIN_FORKNUM, block, RBM_NORMAL, ring);
        LockBuffer(buffer, BUFFER_LOCK_SHARE);
        OffsetNumber offset;
        written = page_was_written(BufferGetPage(buffer), window, &offset);
        if (written) *place = place_at(block, offset);
        UnlockReleaseBuffer(buffer);
    }
    FreeAccessStrategy(ring);
    return written;
}

} // namespace stride::walk
