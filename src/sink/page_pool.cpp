// The pages of one worker's target that are its own by custom.
// Regime: pg.  Nothing here relies on a page of the pool being private: VACUUM may put it into the free space map or
// cut it off between two chunks, and another session may fill it.  So each chunk forgets pages beyond the relation's
// end, a page is taken only while it is new, and where rows turn out not to fit, heap_multi_insert looks for another
// page as it always does.
#include "sink/page_pool.hpp"

namespace stride::sink {

#if PG_VERSION_NUM < 160000

namespace {

constexpr BlockNumber most_pages = 64; // added at a time

// Pages [next, end) of the relation's file are added and not yet taken.  As many are added as were before, doubled: a
// small load leaves few behind.
struct Pool {
    Oid relation;
    RelFileNode file;
    BlockNumber next;
    BlockNumber end;
    BlockNumber step;
};
constinit Pool pool = {};

// Adds pages, unless there is free space elsewhere that ought to be used first; false then.  They are in shared
// buffers, so that the one who takes them need not read them.
bool extend(Relation relation, BufferAccessStrategy strategy) {
    if (GetPageWithFreeSpace(relation, BLCKSZ / 2) != InvalidBlockNumber) return false;
    pool.step = Min(pool.step * 2, most_pages);
    pool.next = pool.end = 0;
    LockRelationForExtension(relation, ExclusiveLock);
    for (BlockNumber i = 0; i < pool.step; i++) {
        Buffer buffer = ReadBufferExtended(relation, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK, strategy);
        if (i == 0) pool.next = BufferGetBlockNumber(buffer);
        pool.end = BufferGetBlockNumber(buffer) + 1;
        UnlockReleaseBuffer(buffer);
    }
    UnlockRelationForExtension(relation, ExclusiveLock);
    return true;
}

// Makes the next page that is still new the current one of `state`; false if the pool has none and gets none.
bool take_page(Relation relation, BulkInsertState state) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        if (pool.next >= pool.end && !extend(relation, state->strategy)) return false;
        Buffer buffer = ReadBufferExtended(relation, MAIN_FORKNUM, pool.next++, RBM_NORMAL, state->strategy);
        LockBuffer(buffer, BUFFER_LOCK_SHARE);
        const bool fresh = PageIsNew(BufferGetPage(buffer));
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        if (fresh) {
            ReleaseBulkInsertStatePin(state);
            state->current_buf = buffer;
            return true;
        }
        ReleaseBuffer(buffer);
    }
}

// What heap_multi_insert may still put on the current page, by its own measure.
Size free_space(BulkInsertState state) {
    if (state->current_buf == InvalidBuffer) return 0;
    LockBuffer(state->current_buf, BUFFER_LOCK_SHARE);
    Page page = BufferGetPage(state->current_buf);
    const Size space =
        PageIsNew(page) ? BLCKSZ - SizeOfPageHeaderData - sizeof(ItemIdData) : PageGetHeapFreeSpace(page);
    LockBuffer(state->current_buf, BUFFER_LOCK_UNLOCK);
    return space;
}

Size row_size(TupleTableSlot *slot) {
    return MAXALIGN(ExecFetchSlotHeapTuple(slot, true, nullptr)->t_len);
}

// How many of the rows fit into `space`, of which `reserved` bytes stay free.
int fitting(TupleTableSlot **slots, int count, Size space, Size reserved) {
    int rows = 0;
    while (rows < count && row_size(slots[rows]) + reserved <= space) {
        space -= Min(space, row_size(slots[rows]) + sizeof(ItemIdData));
        rows++;
    }
    return rows;
}

// The size of a row that is to be toasted is not known before; one that is too large for the fill factor gets a page of
// its own.
bool is_pooled(Relation relation, TupleTableSlot **slots, int count, Size reserved) {
    if (RelationGetRelid(relation) != pool.relation) return false;
    for (int i = 0; i < count; i++) {
        const HeapTuple row = ExecFetchSlotHeapTuple(slots[i], true, nullptr);
        if (HeapTupleHasExternal(row) || row->t_len > TOAST_TUPLE_THRESHOLD ||
            MAXALIGN(row->t_len) + reserved > MaxHeapTupleSize)
            return false;
    }
    return true;
}

} // namespace

void open_page_pool(Relation relation) {
    if (pool.relation != RelationGetRelid(relation) || !RelFileNodeEquals(pool.file, relation->rd_node))
        pool = Pool{RelationGetRelid(relation), relation->rd_node, 0, 0, 1};
    pool.end = Min(pool.end, RelationGetNumberOfBlocks(relation));
}

void insert_through_pool(Relation relation, TupleTableSlot **slots, int count, CommandId command,
                         BulkInsertState state) {
    const Size reserved = static_cast<Size>(RelationGetTargetPageFreeSpace(relation, HEAP_DEFAULT_FILLFACTOR));
    bool pooled = is_pooled(relation, slots, count, reserved);
    for (int done = 0, rows; done < count; done += rows) {
        rows = count - done;
        if (pooled) {
            rows = fitting(slots + done, count - done, free_space(state), reserved);
            if (rows == 0 && take_page(relation, state)) continue;
            pooled = rows > 0;
            if (!pooled) rows = count - done;
        }
        table_multi_insert(relation, slots + done, rows, command, 0, state);
    }
}

void release_page_pool() {
    const Pool left = pool;
    pool = Pool{};
    if (left.next >= left.end || !ConditionalLockRelationOid(left.relation, RowExclusiveLock)) return;
    Relation relation = try_relation_open(left.relation, NoLock);
    if (relation == nullptr) return;
    if (RelFileNodeEquals(left.file, relation->rd_node)) {
        const BlockNumber end = Min(left.end, RelationGetNumberOfBlocks(relation));
        for (BlockNumber block = left.next; block < end; block++)
            RecordPageWithFreeSpace(relation, block, BLCKSZ - SizeOfPageHeaderData);
        if (left.next < end) FreeSpaceMapVacuumRange(relation, left.next, end);
    }
    relation_close(relation, NoLock);
}

#else

void open_page_pool(Relation) {}

void insert_through_pool(Relation relation, TupleTableSlot **slots, int count, CommandId command,
                         BulkInsertState state) {
    table_multi_insert(relation, slots, count, command, 0, state);
}

void release_page_pool() {}

#endif

} // namespace stride::sink
