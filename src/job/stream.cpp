// Chunks of a stream.
// Regime: pg.
#include "job/stream.hpp"

#include <unistd.h>

#include "analysis/statement.hpp"
#include "catalog/split.hpp"
#include "job/leaves.hpp"
#include "job/spool.hpp"
#include "walk/plan.hpp"

namespace stride::job {
namespace {

constexpr const char *store_name = "pg_stride stream";
constexpr Size first_block = shared::queue_bytes;

// One worker a split; a job that chooses by itself gets one a core, as a stream can't share its rows out again.
int split_count(const catalog::Job &job) {
    const int spare = Max(1, settings::max_workers_per_job - 1); // the reader is one too
    const int wanted = job.workers > 0 ? job.workers : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
    return Max(1, Min(wanted, spare));
}

// Nobody knows how many rows will come.
ArrayType *no_bound() {
    Datum text = CStringGetTextDatum(psprintf(INT64_FORMAT, PG_INT64_MAX));
    return construct_array(&text, 1, TEXTOID, -1, false, TYPALIGN_INT);
}

TupleDesc descriptor_of(Oid work_table) {
    Relation relation = table_open(work_table, NoLock);
    TupleDesc descriptor = CreateTupleDescCopy(RelationGetDescr(relation));
    table_close(relation, NoLock);
    return descriptor;
}

// In the current memory context, with which it ends: never in a file, as what is put into it is in memory already.
Tuplestorestate *create_store() {
    return tuplestore_begin_heap(false, false, MAX_KILOBYTES);
}

// The next row that is read is the one after the first `before` of those that are held.
void go_behind(const StreamRows &rows, int64 before) {
    constexpr int own_pointer = 0; // scans have others
    tuplestore_select_read_pointer(rows.store, own_pointer);
    tuplestore_rescan(rows.store);
    (void)tuplestore_skiptuples(rows.store, rows.committed + before, true);
}

void read_row(const StreamRows &rows) {
    if (!tuplestore_gettupleslot(rows.store, true, false, rows.slot)) elog(ERROR, "a row of the stream is missing");
}

// Of the last one of the first `number` rows.
int64 ordinal_of(const StreamRows &rows, int64 number) {
    if (number == rows.held) return rows.last;
    go_behind(rows, number - 1);
    read_row(rows);
    bool is_null;
    const int64 ordinal = DatumGetInt64(slot_getattr(rows.slot, catalog::ordinal_attno, &is_null));
    ExecClearTuple(rows.slot);
    return ordinal;
}

Tuplestorestate *copy_rows(const StreamRows &rows, int64 count) {
    Tuplestorestate *copy = create_store();
    go_behind(rows, 0);
    for (int64 i = 0; i < count; i++) {
        read_row(rows);
        tuplestore_puttupleslot(copy, rows.slot);
    }
    ExecClearTuple(rows.slot);
    return copy;
}

HeapTuple copy_first_row(const StreamRows &rows) {
    go_behind(rows, 0);
    read_row(rows);
    HeapTuple tuple = ExecCopySlotHeapTuple(rows.slot);
    ExecClearTuple(rows.slot);
    return tuple;
}

// Makes the reference to the work table one to the tuplestore.
void read_store(RangeTblEntry *entry, TupleDesc whole, int64 count) {
    entry->rtekind = RTE_NAMEDTUPLESTORE;
    entry->relkind = '\0';
    entry->rellockmode = 0;
    entry->inh = false;
    entry->enrname = pstrdup(store_name);
    entry->enrtuples = static_cast<Cardinality>(count);
    entry->coltypes = entry->coltypmods = entry->colcollations = NIL;
    for (int i = 0; i < whole->natts; i++) {
        const FormData_pg_attribute *column = TupleDescAttr(whole, i);
        entry->coltypes = lappend_oid(entry->coltypes, column->atttypid);
        entry->coltypmods = lappend_int(entry->coltypmods, column->atttypmod);
        entry->colcollations = lappend_oid(entry->colcollations, column->attcollation);
    }
#if PG_VERSION_NUM >= 160000
    entry->perminfoindex = 0;
#else
    entry->requiredPerms = 0;
    entry->selectedCols = nullptr;
#endif
}

QueryEnvironment *environment_of(Tuplestorestate *store, TupleDesc whole, int64 count) {
    EphemeralNamedRelation relation = static_cast<EphemeralNamedRelation>(palloc0(sizeof(EphemeralNamedRelationData)));
    relation->md.name = pstrdup(store_name);
    relation->md.tupdesc = whole;
    relation->md.enrtype = ENR_NAMED_TUPLESTORE;
    relation->md.enrtuples = static_cast<double>(count);
    relation->reldata = store;
    QueryEnvironment *environment = create_queryEnv();
    register_ENR(environment, relation);
    return environment;
}

} // namespace

void plan_stream(const catalog::Job &job) {
    catalog::WorkTable table;
    if (!catalog::find_work_table(job.job_id, &table)) elog(ERROR, "the job has no query");
    const catalog::Leaf &leaf = *static_cast<catalog::Leaf *>(linitial(find_leaves_of(job)));
    catalog::insert_leaf(job.job_id, leaf);
    const int splits = split_count(job);
    catalog::NewSplit fresh = {};
    fresh.leaf = leaf.leaf;
    fresh.upper = no_bound();
    fresh.lower_sample = -1;
    PushActiveSnapshot(GetTransactionSnapshot());
    fresh.rows_estimate = static_cast<int64>(estimate_spool(table).rows / splits);
    PopActiveSnapshot();
    for (int i = 1; i <= splits; i++)
        catalog::insert_split(job.job_id, i, fresh);
}

StreamRows *create_stream_rows(MemoryContext memory) {
    MemoryContext previous = MemoryContextSwitchTo(memory);
    // The worker is in no transaction, and has no access to the work table's columns.
    TupleDesc descriptor = CreateTemplateTupleDesc(catalog::ordinal_attno);
    TupleDescInitBuiltinEntry(descriptor, catalog::ordinal_attno, "ordinal", INT8OID, -1, 0);
    StreamRows *rows = static_cast<StreamRows *>(palloc0(sizeof(StreamRows)));
    // Rows take no more than their size, and the first block, which stays from chunk to chunk, has room for most.
    rows->memory = GenerationContextCreate(memory, "pg_stride stream rows", first_block, ALLOCSET_DEFAULT_INITSIZE,
                                           ALLOCSET_DEFAULT_MAXSIZE);
    rows->slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
    MemoryContextSwitchTo(previous);
    return rows;
}

void add_parcel(StreamRows *rows, const shared::Parcel &parcel) {
    MemoryContext previous = MemoryContextSwitchTo(rows->memory);
    if (rows->store == nullptr) rows->store = create_store();
    const char *next = reinterpret_cast<const char *>(&parcel) + shared::parcel_header;
    for (int64 i = 0; i < parcel.rows; i++) {
        MinimalTuple tuple = reinterpret_cast<MinimalTuple>(const_cast<char *>(next));
        tuplestore_puttupleslot(rows->store, ExecStoreMinimalTuple(tuple, rows->slot, false));
        rows->bytes += tuple->t_len;
        next += MAXALIGN(tuple->t_len);
    }
    ExecClearTuple(rows->slot);
    rows->held += parcel.rows;
    rows->last = parcel.first + parcel.rows - 1;
    MemoryContextSwitchTo(previous);
}

void drop_committed(StreamRows *rows, int64 count) {
    rows->committed += count;
    rows->held -= count;
    if (rows->held > 0) return;
    MemoryContextReset(rows->memory); // faster than to free row after row
    rows->store = nullptr;
    rows->committed = 0;
    rows->bytes = 0;
}

chunk::Reach StreamStatement::reach(ArrayType *, ArrayType *upper, int64 limit) {
    taken = Min(limit, rows.held);
    const bool reached_end = rows.ended && taken == rows.held;
    ArrayType *last = nullptr;
    if (taken > 0) {
        const Datum ordinal = Int64GetDatum(ordinal_of(rows, taken));
        last = walk::key_to_text(key, &ordinal);
    }
    return chunk::Reach{taken, reached_end ? upper : last, last, reached_end};
}

void StreamStatement::plan(ArrayType *, ArrayType *) {
    const TupleDesc whole = descriptor_of(job.source);
    const bool takes_all = rows.committed == 0 && taken == rows.held;
    environment = environment_of(takes_all ? rows.store : copy_rows(rows, taken), whole, taken);
    Query *query = analysis::analyse_stored(job.stored_sql);
    RangeTblEntry *entry = analysis::entry_of(analysis::find_driver(query, job.source, job.stored_alias));
    read_store(entry, whole, taken);
    const walk::Driving driving = {entry, nullptr, pg::ChildTable{job.source, job.source}, walk::Access::any,
                                   InvalidOid};
    planned = walk::plan_walk(query, job.stored_sql, driving).statement;
    require_bound_relations();
}

Jsonb *StreamStatement::row(ArrayType *, ArrayType *) {
    const TupleDesc whole = descriptor_of(job.source);
    const Datum record = heap_copy_tuple_as_datum(copy_first_row(rows), whole);
    char *json = text_to_cstring(DatumGetTextPP(DirectFunctionCall1(row_to_json, record)));
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

void StreamStatement::keep_aside(const catalog::Reject &reject) {
    Relation work_table = table_open(job.source, RowExclusiveLock);
    // What is stored out of line somewhere else is fetched.
    PushActiveSnapshot(GetTransactionSnapshot());
    CatalogTupleInsert(work_table, copy_first_row(rows));
    PopActiveSnapshot();
    table_close(work_table, NoLock);
    catalog::insert_reject(reject);
}

} // namespace stride::job
