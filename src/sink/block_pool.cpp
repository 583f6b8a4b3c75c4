// The private pages of a bulk insert.
// Regime: pg.  An error in between leaves empty pages behind, as a crash during any extension does; VACUUM finds them.
#include "sink/block_pool.hpp"

namespace stride::sink {

BlockPool open_pool(Relation relation) {
    return BlockPool{relation, 0, 0, 0};
}

#if PG_VERSION_NUM >= 160000

int fill_page(BlockPool *, BulkInsertState, TupleTableSlot **, int count) {
    return count;
}
void close_pool(BlockPool *) {}

#else

namespace {

// What an empty page offers, with the reserve that RelationGetBufferForTuple keeps.
Size empty_room(Relation relation) {
    const Size reserve = static_cast<Size>(RelationGetTargetPageFreeSpace(relation, HEAP_DEFAULT_FILLFACTOR));
    return BLCKSZ - SizeOfPageHeaderData - reserve;
}

Size room_for(const HeapTupleData *tuple) {
    return MAXALIGN(tuple->t_len) + sizeof(ItemIdData);
}

// Adds the pool's pages to the table as zeroes: a page is initialised when it is handed out.
void extend(BlockPool *pool) {
    alignas(MAXIMUM_ALIGNOF) static constinit char zeroes[BLCKSZ] = {};
    Relation relation = pool->relation;
    LockRelationForExtension(relation, ExclusiveLock);
    pool->next = RelationGetNumberOfBlocks(relation);
    pool->end = pool->next + BlockPool::blocks;
    for (BlockNumber block = pool->next; block < pool->end; block++)
        smgrextend(RelationGetSmgr(relation), MAIN_FORKNUM, block, zeroes, false);
    UnlockRelationForExtension(relation, ExclusiveLock);
}

// Makes the next private page the one that heap_multi_insert tries first.
void hand_out(BlockPool *pool, BulkInsertState state) {
    if (pool->next == pool->end) extend(pool);
    if (state->current_buf != InvalidBuffer) ReleaseBuffer(state->current_buf);
    state->current_buf = InvalidBuffer;
    Buffer buffer = ReadBufferExtended(pool->relation, MAIN_FORKNUM, pool->next, RBM_ZERO_AND_LOCK, state->strategy);
    PageInit(BufferGetPage(buffer), BufferGetPageSize(buffer), 0);
    MarkBufferDirty(buffer);
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    state->current_buf = buffer;
    pool->next++;
    pool->room = empty_room(pool->relation);
}

} // namespace

int fill_page(BlockPool *pool, BulkInsertState state, TupleTableSlot **slots, int count) {
    for (int i = 0; i < count; i++) {
        bool copied;
        const HeapTuple tuple = ExecFetchSlotHeapTuple(slots[i], true, &copied);
        Assert(!copied);
        const Size wanted = room_for(tuple);
        // A toasted tuple's length is not known before it is written: the server picks the page.
        if (tuple->t_len > TOAST_TUPLE_THRESHOLD || HeapTupleHasExternal(tuple)) {
            pool->room = 0;
            return i > 0 ? i : 1;
        }
        if (wanted > pool->room) {
            if (i > 0) return i;
            hand_out(pool, state);
        }
        pool->room -= wanted;
    }
    return count;
}

void close_pool(BlockPool *pool) {
    if (pool->next == pool->end) return;
    const Size room = empty_room(pool->relation);
    for (BlockNumber block = pool->next; block < pool->end; block++)
        RecordPageWithFreeSpace(pool->relation, block, room);
    FreeSpaceMapVacuumRange(pool->relation, pool->next, pool->end);
    pool->next = pool->end;
}

#endif

} // namespace stride::sink
