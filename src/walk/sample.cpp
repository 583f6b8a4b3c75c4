// The block sample of a job's driving relation, by the server's own TABLESAMPLE; of a foreign table all keys are read.
// Regime: pg.  Locks: those that planning and running a SELECT take, to the end of the transaction.  May not write.
#include "walk/sample.hpp"

#include "pg/session.hpp"
#include "walk/block.hpp"
#include "walk/peek.hpp"
#include "walk/plan.hpp"

namespace stride::walk {
namespace {

// A receiver of key rows that counts them and keeps a random choice of at most `wanted` (Vitter's algorithm R).
struct Reservoir {
    DestReceiver receiver;
    MemoryContext memory; // of the kept keys
    const Key *key;
    int wanted;
    int nkept;
    int64 rows;
    Datum **kept; // `wanted` places
    LastKey last; // of a promised key, read in order
};

Datum *copy_key(TupleTableSlot *slot, const Key &key) {
    auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(key.ncolumns)));
    for (int i = 0; i < key.ncolumns; i++) {
        const Form_pg_attribute attribute = TupleDescAttr(slot->tts_tupleDescriptor, i);
        if (slot->tts_isnull[i]) elog(ERROR, "key column %d is null", i + 1);
        values[i] = datumCopy(slot->tts_values[i], attribute->attbyval, attribute->attlen);
    }
    return values;
}

void free_key(Datum *values, TupleDesc descriptor, int ncolumns) {
    for (int i = 0; i < ncolumns; i++)
        if (!TupleDescAttr(descriptor, i)->attbyval) pfree(DatumGetPointer(values[i]));
    pfree(values);
}

bool receive_key(TupleTableSlot *slot, DestReceiver *self) {
    auto *reservoir = reinterpret_cast<Reservoir *>(self);
    if (reservoir->key->promised) (void)reservoir->last.receiver.receiveSlot(slot, &reservoir->last.receiver);
    const int ncolumns = reservoir->key->ncolumns;
    const auto seen = static_cast<uint64>(reservoir->rows++);
    uint64 place = seen;
    if (reservoir->nkept >= reservoir->wanted) place = pg_prng_uint64_range(&pg_global_prng_state, 0, seen);
    if (place >= static_cast<uint64>(reservoir->wanted)) return true;

    slot_getsomeattrs(slot, ncolumns);
    MemoryContext previous = MemoryContextSwitchTo(reservoir->memory);
    if (reservoir->nkept < reservoir->wanted)
        reservoir->nkept++;
    else
        free_key(reservoir->kept[place], slot->tts_tupleDescriptor, ncolumns);
    reservoir->kept[place] = copy_key(slot, *reservoir->key);
    MemoryContextSwitchTo(previous);
    return true;
}

void start_receiver(DestReceiver *, int, TupleDesc) {}
void end_receiver(DestReceiver *) {}

int order_keys(const void *a, const void *b, void *order) {
    return compare_values(static_cast<KeyOrder *>(order), *static_cast<Datum *const *>(a),
                          *static_cast<Datum *const *>(b));
}

void refuse_unsampled(Relation relation) {
    const char kind = relation->rd_rel->relkind;
    if ((kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) || relation->rd_tableam == nullptr ||
        relation->rd_tableam->scan_sample_next_block == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("\"%s\" cannot be sampled by blocks", RelationGetRelationName(relation)),
                 errhint("Only tables of the heap access method can be walked by key; give the source as a query.")));
}

// Fills the reservoir from a share of the blocks, 0 < fraction <= 1.
void fill(Relation source, double fraction, Reservoir *reservoir) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, select_keys_sql(source, *reservoir->key));
    if (fraction < 1.0) appendStringInfo(&sql, " TABLESAMPLE pg_catalog.system (%.9g)", fraction * 100.0);
    Query *query = analyse_own(sql.data);
    Driving driving = driving_of(query, *reservoir->key);
    driving.access = Access::any;
    run_plan(plan_walk(query, sql.data, driving).statement, sql.data, &reservoir->receiver);
}

// The kept keys as texts, sorted, without duplicates.
void write_keys(Reservoir *reservoir, Sample *sample) {
    KeyOrder order;
    prepare_order(*reservoir->key, &order);
    qsort_arg(reservoir->kept, static_cast<size_t>(reservoir->nkept), sizeof(Datum *), order_keys, &order);
    sample->keys = static_cast<KeyText *>(palloc(sizeof(KeyText) * static_cast<Size>(Max(reservoir->nkept, 1))));
    const int level = pg::pin_output_settings();
    for (int i = 0; i < reservoir->nkept; i++)
        if (i == 0 || compare_values(&order, reservoir->kept[i - 1], reservoir->kept[i]) != 0)
            sample->keys[sample->nkeys++] = encode_key(*reservoir->key, reservoir->kept[i]);
    pg::unpin(level);
}

Reservoir make_reservoir(const Key &key, int wanted) {
    Reservoir reservoir = {};
    reservoir.receiver.receiveSlot = receive_key;
    reservoir.receiver.rStartup = start_receiver;
    reservoir.receiver.rShutdown = end_receiver;
    reservoir.receiver.rDestroy = end_receiver;
    reservoir.receiver.mydest = DestNone;
    reservoir.memory = AllocSetContextCreate(CurrentMemoryContext, "stride key sample", ALLOCSET_DEFAULT_SIZES);
    reservoir.key = &key;
    reservoir.wanted = wanted;
    reservoir.kept = static_cast<Datum **>(
        MemoryContextAlloc(reservoir.memory, sizeof(Datum *) * static_cast<Size>(Max(wanted, 1))));
    return reservoir;
}

// Every key, in order: which proves the promise for all rows that there are, finds the last one and counts them.
Sample read_all_keys(Relation source, const Key &key, int wanted) {
    Sample sample = {};
    Reservoir reservoir = make_reservoir(key, wanted);
    prepare_last_key(key, &reservoir.last);
    const char *sql = ordered_keys_sql(source, key, false, every_row);
    run_plan(plan_in_key_order(analyse_own(sql), sql, key), sql, &reservoir.receiver);
    if (reservoir.rows > 0) {
        sample.upper = key_to_text(key, reservoir.last.values);
        write_keys(&reservoir, &sample);
        sample.rows_estimate = static_cast<double>(reservoir.rows);
    }
    MemoryContextDelete(reservoir.memory);
    return sample;
}

} // namespace

KeyText greatest_key(Relation source, const Key &key) {
    LastKey last;
    prepare_last_key(key, &last);
    const char *sql = ordered_keys_sql(source, key, true, 1);
    run_plan(plan_in_key_order(analyse_own(sql), sql, key), sql, &last.receiver);
    return last.rows > 0 ? key_to_text(key, last.values) : nullptr;
}

double estimate_rows(Relation relation) {
    BlockNumber pages;
    double rows;
    double all_visible;
    estimate_rel_size(relation, nullptr, &pages, &rows, &all_visible);
    return Max(1.0, rows);
}

Sample sample_keys(Relation source, Relation relation, const Key &key, int wanted, BlockNumber max_blocks) {
    if (key.promised) return read_all_keys(source, key, wanted);
    if (key.by_place) return sample_blocks(relation, key, wanted);
    Sample sample = {};
    refuse_unsampled(relation);
    sample.upper = greatest_key(source, key);
    if (sample.upper == nullptr) return sample;
    if (wanted < 2) {
        sample.rows_estimate = estimate_rows(relation);
        return sample;
    }

    Reservoir reservoir = make_reservoir(key, wanted);
    const BlockNumber blocks = RelationGetNumberOfBlocks(relation);
    const double fraction = blocks <= max_blocks ? 1.0 : Max(max_blocks, 1u) / static_cast<double>(blocks);
    fill(source, fraction, &reservoir);
    write_keys(&reservoir, &sample);
    sample.rows_estimate = static_cast<double>(reservoir.rows) / fraction;
    if (reservoir.rows == 0) sample.rows_estimate = estimate_rows(relation);
    MemoryContextDelete(reservoir.memory);
    return sample;
}

} // namespace stride::walk
