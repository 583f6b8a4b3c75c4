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
constexpr int64 first_capacity = 1024;

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

// The columns that the query gives: all but the ordinal.
TupleDesc without_ordinal(TupleDesc whole) {
    const int columns = whole->natts - catalog::ordinal_attno;
    TupleDesc descriptor = CreateTemplateTupleDesc(columns);
    for (int i = 1; i <= columns; i++)
        TupleDescCopyEntry(descriptor, static_cast<AttrNumber>(i), whole,
                           static_cast<AttrNumber>(i + catalog::ordinal_attno));
    return descriptor;
}

// Rows of a stream as rows of the work table.
struct Rows {
    TupleDesc whole;
    TupleTableSlot *slot; // of a row as it came
    Datum *values;
    bool *nulls;
};

Rows make_rows(TupleDesc whole) {
    return Rows{whole, MakeSingleTupleTableSlot(without_ordinal(whole), &TTSOpsMinimalTuple),
                static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(whole->natts))),
                static_cast<bool *>(palloc(sizeof(bool) * static_cast<Size>(whole->natts)))};
}

void take_row(const Rows &rows, const StreamRow &row) {
    const Size columns = static_cast<Size>(rows.whole->natts - catalog::ordinal_attno);
    (void)ExecStoreMinimalTuple(row.tuple, rows.slot, false);
    slot_getallattrs(rows.slot);
    rows.values[0] = Int64GetDatum(row.ordinal);
    rows.nulls[0] = false;
    memcpy(rows.values + catalog::ordinal_attno, rows.slot->tts_values, sizeof(Datum) * columns);
    memcpy(rows.nulls + catalog::ordinal_attno, rows.slot->tts_isnull, sizeof(bool) * columns);
}

Tuplestorestate *store_rows(const StreamRow *rows, int64 count, TupleDesc whole) {
    Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
    const Rows taken = make_rows(whole);
    for (int64 i = 0; i < count; i++) {
        take_row(taken, rows[i]);
        tuplestore_putvalues(store, whole, taken.values, taken.nulls);
    }
    ExecDropSingleTupleTableSlot(taken.slot);
    return store;
}

HeapTuple form_row(const StreamRow &row, TupleDesc whole) {
    const Rows taken = make_rows(whole);
    take_row(taken, row);
    HeapTuple tuple = heap_form_tuple(whole, taken.values, taken.nulls);
    ExecDropSingleTupleTableSlot(taken.slot);
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
    StreamRows *rows = static_cast<StreamRows *>(MemoryContextAllocZero(memory, sizeof(StreamRows)));
    rows->memory = memory;
    rows->capacity = first_capacity;
    rows->rows = static_cast<StreamRow *>(MemoryContextAlloc(memory, sizeof(StreamRow) * first_capacity));
    return rows;
}

void add_parcel(StreamRows *rows, const shared::Parcel *parcel, Size bytes) {
    if (rows->committed > 0) {
        rows->received -= rows->committed;
        memmove(rows->rows, rows->rows + rows->committed, sizeof(StreamRow) * static_cast<Size>(rows->received));
        rows->committed = 0;
    }
    if (rows->received + parcel->rows > rows->capacity) {
        rows->capacity = Max(rows->capacity * 2, rows->received + parcel->rows);
        rows->rows =
            static_cast<StreamRow *>(repalloc_huge(rows->rows, sizeof(StreamRow) * static_cast<Size>(rows->capacity)));
    }
    char *copy = static_cast<char *>(MemoryContextAllocHuge(rows->memory, bytes));
    memcpy(copy, parcel, bytes);
    char *next = copy + shared::parcel_header;
    for (int64 i = 0; i < parcel->rows; i++) {
        MinimalTuple tuple = reinterpret_cast<MinimalTuple>(next);
        rows->rows[rows->received++] = StreamRow{parcel->first + i, tuple, nullptr};
        rows->bytes += tuple->t_len;
        next += MAXALIGN(tuple->t_len);
    }
    rows->rows[rows->received - 1].parcel = copy;
}

void drop_committed(StreamRows *rows, int64 count) {
    for (int64 i = 0; i < count; i++) {
        const StreamRow &row = rows->rows[rows->committed++];
        rows->bytes -= row.tuple->t_len;
        if (row.parcel != nullptr) pfree(row.parcel);
    }
}

chunk::Reach StreamStatement::reach(ArrayType *, ArrayType *upper, int64 limit) {
    taken = Min(limit, held_rows(rows));
    const bool reached_end = rows.ended && taken == held_rows(rows);
    ArrayType *last = nullptr;
    if (taken > 0) {
        const Datum ordinal = Int64GetDatum(rows.rows[rows.committed + taken - 1].ordinal);
        last = walk::key_to_text(key, &ordinal);
    }
    return chunk::Reach{taken, reached_end ? upper : last, last, reached_end};
}

void StreamStatement::plan(ArrayType *, ArrayType *) {
    const TupleDesc whole = descriptor_of(job.source);
    store = store_rows(rows.rows + rows.committed, taken, whole);
    environment = environment_of(store, whole, taken);
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
    const Datum record = heap_copy_tuple_as_datum(form_row(rows.rows[rows.committed], whole), whole);
    char *json = text_to_cstring(DatumGetTextPP(DirectFunctionCall1(row_to_json, record)));
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}

void StreamStatement::keep_aside(const catalog::Reject &reject) {
    Relation work_table = table_open(job.source, RowExclusiveLock);
    // What is stored out of line somewhere else is fetched.
    PushActiveSnapshot(GetTransactionSnapshot());
    CatalogTupleInsert(work_table, form_row(rows.rows[rows.committed], RelationGetDescr(work_table)));
    PopActiveSnapshot();
    table_close(work_table, NoLock);
    catalog::insert_reject(reject);
}

void StreamStatement::settle() {
    if (store != nullptr) tuplestore_end(store);
}

} // namespace stride::job
