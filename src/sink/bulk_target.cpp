// Batches of rows on their way into tables.
// Regime: pg.  The order of the steps with a row is ModifyTable's: routing, generated columns, constraints, heap,
// indexes, AFTER ROW events; only that the heap is written a batch at a time, and B-trees some batches.
#include "sink/bulk_target.hpp"

#include "pg/clock.hpp"
#include "sink/page_pool.hpp"

namespace stride::sink {
namespace {

// The target as InitResultRelInfo wants it.
ResultRelInfo *open_root(EState *estate, Index target_index) {
    ResultRelInfo *root = makeNode(ResultRelInfo);
    ExecInitResultRelation(estate, root, target_index);
#if PG_VERSION_NUM >= 180000
    CheckValidResultRel(root, CMD_INSERT, ONCONFLICT_NONE, NIL);
#elif PG_VERSION_NUM >= 170000
    CheckValidResultRel(root, CMD_INSERT, NIL);
#else
    CheckValidResultRel(root, CMD_INSERT);
#endif
    return root;
}

// What ExecFindPartition asks of a ModifyTable node, as COPY gives it.
ModifyTableState *routing_state_for(EState *estate, ResultRelInfo *root) {
    ModifyTableState *state = makeNode(ModifyTableState);
    state->ps.plan = nullptr;
    state->ps.state = estate;
    state->operation = CMD_INSERT;
    state->mt_nrels = 1;
    state->resultRelInfo = root;
    state->rootResultRelInfo = root;
    return state;
}

bool is_plain(const ResultRelInfo *table) {
    const TupleConstr *constraints = RelationGetDescr(table->ri_RelationDesc)->constr;
    const TriggerDesc *triggers = table->ri_TrigDesc;
    return constraints == nullptr && !table->ri_RelationDesc->rd_rel->relispartition &&
           (triggers == nullptr || !triggers->trig_insert_after_row);
}

Batch *open_batch(BulkTarget *target, ResultRelInfo *table) {
    MemoryContext previous = MemoryContextSwitchTo(target->memory);
    Batch *batch = static_cast<Batch *>(palloc0(sizeof(Batch)));
    batch->table = table;
    batch->state = GetBulkInsertState();
    batch->runs = open_index_runs(
        target->estate, table, target->routing == nullptr ? most_kept_entries : most_kept_entries / most_open_leaves);
    batch->plain = is_plain(table);
    target->batches = lappend(target->batches, batch);
    MemoryContextSwitchTo(previous);
    return batch;
}

// Slots are made when first used; their row type is a copy, for one that is counted makes each slot a resource to
// track.
TupleTableSlot *next_slot(const BulkTarget *target, Batch *batch) {
    TupleTableSlot *&slot = batch->slots[batch->count];
    if (slot == nullptr) {
        MemoryContext previous = MemoryContextSwitchTo(target->memory);
        Relation relation = batch->table->ri_RelationDesc;
        slot = batch->count > 0
                   ? MakeSingleTupleTableSlot(batch->slots[0]->tts_tupleDescriptor, table_slot_callbacks(relation))
                   : MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(relation)),
                                              table_slot_callbacks(relation));
        slot->tts_tableOid = RelationGetRelid(relation);
        MemoryContextSwitchTo(previous);
    }
    return slot;
}

void write_heap(const BulkTarget *target, Batch *batch) {
    MemoryContext previous = MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));
    insert_through_pool(batch->table->ri_RelationDesc, batch->slots, batch->count, target->command, batch->state);
    MemoryContextSwitchTo(previous);
}

// Index entries and AFTER ROW events of one row that is in the heap.
void follow_row(const BulkTarget *target, const Batch *batch, TupleTableSlot *slot) {
    ResultRelInfo *table = batch->table;
    ResultRelInfo *others = other_indexes(batch->runs);
    List *recheck = NIL;
    ResetPerTupleExprContext(target->estate);
    keep_entries(batch->runs, slot);
    if (others->ri_NumIndices > 0)
        recheck = ExecInsertIndexTuples(others, slot, target->estate, false, false, nullptr, NIL
#if PG_VERSION_NUM >= 160000
                                        ,
                                        false
#endif
        );
    if (table->ri_TrigDesc != nullptr && table->ri_TrigDesc->trig_insert_after_row)
        ExecARInsertTriggers(target->estate, table, slot, recheck, nullptr);
    list_free(recheck);
}

void flush(BulkTarget *target, Batch *batch) {
    if (batch->count == 0) return;
    write_heap(target, batch);
    const instr_time start = pg::start_clock();
    for (int i = 0; i < batch->count; i++) {
        follow_row(target, batch, batch->slots[i]);
        ExecClearTuple(batch->slots[i]);
    }
    enter_index_runs(batch->runs, false);
    target->index_ms += pg::milliseconds_since(start);
    target->written += static_cast<uint64>(batch->count);
    batch->count = 0;
    batch->bytes = 0;
}

void close_batch(BulkTarget *target, Batch *batch) {
    flush(target, batch);
    const instr_time start = pg::start_clock();
    enter_index_runs(batch->runs, true);
    target->index_ms += pg::milliseconds_since(start);
    close_index_runs(batch->runs);
    FreeBulkInsertState(batch->state);
    for (TupleTableSlot *slot : batch->slots)
        if (slot != nullptr) ExecDropSingleTupleTableSlot(slot);
    table_finish_bulk_insert(batch->table->ri_RelationDesc, 0);
    target->batches = list_delete_ptr(target->batches, batch);
    pfree(batch);
}

Batch *batch_of(BulkTarget *target, ResultRelInfo *table) {
    ListCell *cell;
    foreach (cell, target->batches) {
        Batch *batch = static_cast<Batch *>(lfirst(cell));
        if (batch->table == table) return batch;
    }
    if (list_length(target->batches) >= most_open_leaves)
        close_batch(target, static_cast<Batch *>(linitial(target->batches)));
    return open_batch(target, table);
}

// The leaf of a row, with the row in the leaf's type.
ResultRelInfo *route(BulkTarget *target, TupleTableSlot **slot) {
    ResultRelInfo *leaf =
        ExecFindPartition(target->routing_state, target->root, target->routing, *slot, target->estate);
#if PG_VERSION_NUM >= 160000
    const TupleConversionMap *map = ExecGetRootToChildMap(leaf, target->estate);
#else
    const TupleConversionMap *map = leaf->ri_RootToPartitionMap;
#endif
    if (map != nullptr) *slot = execute_attr_map_slot(map->attrMap, *slot, leaf->ri_PartitionTupleSlot);
    return leaf;
}

// Generated columns and constraints, with the row in its batch's slot.
void complete_row(const BulkTarget *target, const Batch *batch, TupleTableSlot *slot) {
    ResultRelInfo *table = batch->table;
    const TupleConstr *constraints = RelationGetDescr(table->ri_RelationDesc)->constr;
    if (constraints != nullptr && constraints->has_generated_stored)
        ExecComputeStoredGenerated(table, target->estate, slot, CMD_INSERT);
    if (constraints != nullptr) ExecConstraints(table, slot, target->estate);
    if (table->ri_RelationDesc->rd_rel->relispartition &&
        (target->routing == nullptr || (table->ri_TrigDesc != nullptr && table->ri_TrigDesc->trig_insert_before_row)))
        (void)ExecPartitionCheck(table, slot, target->estate, true);
}

} // namespace

BulkTarget *open_target(EState *estate, Index target_index) {
    BulkTarget *target = static_cast<BulkTarget *>(palloc0(sizeof(BulkTarget)));
    target->estate = estate;
    target->memory = estate->es_query_cxt;
    target->command = GetCurrentCommandId(true);
    target->root = open_root(estate, target_index);
    Relation relation = target->root->ri_RelationDesc;
    if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
        target->routing_state = routing_state_for(estate, target->root);
        target->routing = ExecSetupPartitionTupleRouting(estate, relation);
    } else {
        ExecOpenIndices(target->root, false);
        open_page_pool(relation);
    }
    ExecBSInsertTriggers(estate, target->root);
    return target;
}

void add_row(BulkTarget *target, TupleTableSlot *slot) {
    ResultRelInfo *table = target->root;
    ResetPerTupleExprContext(target->estate);
    MemoryContext previous = MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));
    if (target->routing != nullptr) table = route(target, &slot);
    Batch *batch = batch_of(target, table);
    TupleTableSlot *mine = next_slot(target, batch);
    ExecCopySlot(mine, slot);
    mine->tts_tableOid = RelationGetRelid(table->ri_RelationDesc);
    if (!batch->plain) complete_row(target, batch, mine);
    bool copied;
    batch->bytes += ExecFetchSlotHeapTuple(mine, true, &copied)->t_len;
    batch->count++;
    if (batch->count == batch_tuples || batch->bytes >= batch_bytes) flush(target, batch);
    MemoryContextSwitchTo(previous);
}

void finish_target(BulkTarget *target) {
    while (target->batches != NIL)
        close_batch(target, static_cast<Batch *>(linitial(target->batches)));
    ExecASInsertTriggers(target->estate, target->root, nullptr);
}

void close_target(BulkTarget *target) {
    // The target itself and its indexes are closed with the executor state.
    if (target->routing != nullptr) ExecCleanupTupleRouting(target->routing_state, target->routing);
}

} // namespace stride::sink
