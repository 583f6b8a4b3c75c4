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

Tuplestorestate *store_rows(const StreamRow *rows, int64 count, TupleDesc whole) {
    Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
    TupleTableSlot *slot = MakeSingleTupleTableSlot(without_ordinal(whole), &TTSOpsMinimalTuple);
    Datum *values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(whole->natts)));
    bool *nulls = static_cast<bool *>(palloc(sizeof(bool) * static_cast<Size>(whole->natts)));
    const Size columns = static_cast<Size>(whole->natts - catalog::ordinal_attno);
    nulls[0] = false;
    for (int64 i = 0; i < count; i++) {
        (void)ExecStoreMinimalTuple(rows[i].tuple, slot, false);
        slot_getallattrs(slot);
        values[0] = Int64GetDatum(rows[i].ordinal);
        memcpy(values + catalog::ordinal_attno, slot->tts_values, sizeof(Datum) * columns);
        memcpy(nulls + catalog::ordinal_attno, slot->tts_isnull, sizeof(bool) * columns);
        tuplestore_putvalues(store, whole, values, nulls);
    }
    ExecDropSingleTupleTableSlot(slot);
    return store;
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

void StreamStatement::settle() {
    if (store != nullptr) tuplestore_end(store);
}

} // namespace stride::job
