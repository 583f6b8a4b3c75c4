// Saved rows.
// Regime: pg.
#include "walk/spool.hpp"

#include "catalog/split.hpp"
#include "catalog/work_table.hpp"
#include "pg/session.hpp"
#include "sink/bulk_target.hpp"
#include "walk/plan.hpp"

namespace stride::walk {
namespace {

// Takes the rows of the query on their way into the work table.
struct Saver {
    DestReceiver receiver;
    sink::BulkTarget *target;
    TupleTableSlot *row; // of the work table
    int64 last;          // ordinal
};

// The key that rows can have in common is the one that a MERGE relies on; the error's detail has its values.
void name_source_rows(void *) {
    if (geterrcode() != ERRCODE_UNIQUE_VIOLATION) return;
    errcode(ERRCODE_CARDINALITY_VIOLATION);
    errmsg("two rows of the source of a MERGE have the same key");
    errhint("Let each key come once in the source, by GROUP BY or DISTINCT ON in USING, and submit the statement "
            "again; or mend the rows.");
}

// Runs f(), which writes the work table.
template <class F>
void write(F &&f) {
    ErrorContextCallback callback = {error_context_stack, name_source_rows, nullptr};
    error_context_stack = &callback;
    f();
    error_context_stack = callback.previous;
}

bool save_row(TupleTableSlot *slot, DestReceiver *self) {
    auto *saver = reinterpret_cast<Saver *>(self);
    TupleTableSlot *row = saver->row;
    const int columns = row->tts_tupleDescriptor->natts - catalog::ordinal_attno;
    slot_getallattrs(slot);
    ExecClearTuple(row);
    row->tts_values[0] = Int64GetDatum(++saver->last);
    row->tts_isnull[0] = false;
    memcpy(row->tts_values + catalog::ordinal_attno, slot->tts_values, sizeof(Datum) * static_cast<Size>(columns));
    memcpy(row->tts_isnull + catalog::ordinal_attno, slot->tts_isnull, sizeof(bool) * static_cast<Size>(columns));
    ExecStoreVirtualTuple(row);
    write([&] { sink::add_row(saver->target, row); });
    return true;
}

void start_receiver(DestReceiver *, int, TupleDesc) {}
void end_receiver(DestReceiver *) {}

// An executor state with the work table as its only relation, as COPY has one.
EState *open_state(Relation work_table) {
    EState *estate = CreateExecutorState();
    RangeTblEntry *entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_RELATION;
    entry->relid = RelationGetRelid(work_table);
    entry->relkind = work_table->rd_rel->relkind;
    entry->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 180000
    ExecInitRangeTable(estate, list_make1(entry), NIL, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
    ExecInitRangeTable(estate, list_make1(entry), NIL);
#else
    ExecInitRangeTable(estate, list_make1(entry));
#endif
    return estate;
}

void close_state(EState *estate) {
    ExecCloseResultRelations(estate);
    ExecCloseRangeTableRelations(estate);
    FreeExecutorState(estate);
}

int64 ordinal_of(const Key &key, KeyText position) {
    Datum value;
    text_to_values(key, position, &value);
    return DatumGetInt64(value);
}

} // namespace

int64 save_rows(Relation work_table, PlannedStmt *plan, const char *sql, int64 last) {
    // Nothing may assign the transaction's id while the plan runs in parallel.
    (void)GetCurrentTransactionId();
    EState *estate = open_state(work_table);
    MemoryContext previous = MemoryContextSwitchTo(estate->es_query_cxt);
    Saver saver = {{save_row, start_receiver, end_receiver, end_receiver, DestNone},
                   sink::open_target(estate, 1),
                   MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(work_table)), &TTSOpsVirtual),
                   last};
    MemoryContextSwitchTo(previous);
    run_plan(plan, sql, &saver.receiver);
    write([&] { sink::finish_target(saver.target); });
    ExecDropSingleTupleTableSlot(saver.row);
    close_state(estate);
    CommandCounterIncrement();
    return saver.last - last;
}

Sample sample_between(int64 before, int64 last, int wanted) {
    Sample sample = {};
    const int64 rows = last - before;
    if (rows == 0) return sample;
    sample.upper = catalog::number_key(last);
    sample.rows_estimate = static_cast<double>(rows);
    const int64 step = Max(static_cast<int64>(1), rows / (wanted + 1));
    sample.keys = static_cast<KeyText *>(palloc(sizeof(KeyText) * static_cast<Size>(Max(1, wanted))));
    for (int64 ordinal = before + step; ordinal < last && sample.nkeys < wanted; ordinal += step)
        sample.keys[sample.nkeys++] = catalog::number_key(ordinal);
    return sample;
}

Sample sample_ordinals(Relation work_table, const Key &key, int wanted) {
    const KeyText last = greatest_key(work_table, key);
    return sample_between(0, last == nullptr ? 0 : ordinal_of(key, last), wanted);
}

Peek peek_ordinals(const Key &key, const KeyRange &range, int64 limit) {
    const int64 before = range.lower == nullptr ? 0 : ordinal_of(key, range.lower);
    const int64 left = Max(static_cast<int64>(0), ordinal_of(key, range.upper) - before);
    const int64 rows = Min(left, limit);
    const Datum last = Int64GetDatum(before + rows);
    return Peek{rows, rows > 0 ? key_to_text(key, &last) : nullptr, rows == left};
}

} // namespace stride::walk
