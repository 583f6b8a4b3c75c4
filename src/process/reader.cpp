// The reader.
// Regime: pg.
#include "process/reader.hpp"

#include "bridge/attempt.hpp"
#include "catalog/request.hpp"
#include "catalog/work_table.hpp"
#include "job/spool.hpp"
#include "pg/background.hpp"
#include "pg/test_point.hpp"
#include "pg/transaction.hpp"
#include "shared/channel.hpp"
#include "shared/wakeup.hpp"
#include "walk/plan.hpp"

namespace stride::process {
namespace {

constexpr Size parcel_bytes = 64 * 1024;

// Takes the rows of the query, and sends them as those of the work table: with an ordinal.
struct Reader {
    DestReceiver receiver;
    Worker *worker;
    shared::Sender *sender;
    TupleDesc descriptor; // of a row as it is sent
    Datum *values;
    bool *nulls;
    char *parcel; // the one that is being filled
    Size capacity;
    Size bytes;
    int64 rows;
    int64 most_rows;
    int64 sent; // rows, in all
    bool broken;
};

// Waits until somebody may have changed something; false if nobody is to wait any more.
bool wait_for_workers(Reader *reader) {
    if (shared::has_lost_worker(reader->sender) || shared::wanted_stop(reader->worker->slot) != shared::Stop::none) {
        reader->broken = true;
        return false;
    }
    (void)pg::wait_latch(-1, PG_WAIT_EXTENSION);
    return true;
}

void begin_parcel(Reader *reader) {
    reader->bytes = shared::parcel_header;
    reader->rows = 0;
    reader->most_rows = shared::most_rows(reader->sender);
}

void put_header(Reader *reader) {
    const shared::Parcel header = {reader->sent + 1, reader->rows};
    memcpy(reader->parcel, &header, sizeof(header));
}

// Sends the parcel to the next worker that has room for it; false if the stream is broken.
bool send_parcel(Reader *reader) {
    int queue;
    while ((queue = shared::find_room(reader->sender, reader->bytes)) < 0)
        if (!wait_for_workers(reader)) return false;
    put_header(reader);
    reader->broken =
        !shared::send(reader->sender, queue, reinterpret_cast<shared::Parcel *>(reader->parcel), reader->bytes);
    reader->sent += reader->rows;
    begin_parcel(reader);
    return !reader->broken;
}

void make_room(Reader *reader, Size bytes) {
    if (reader->bytes + bytes <= reader->capacity) return;
    reader->capacity = reader->bytes + bytes;
    reader->parcel = static_cast<char *>(repalloc_huge(reader->parcel, reader->capacity));
}

// heap_form_minimal_tuple(), but into the parcel.
void append_row(Reader *reader) {
    const int columns = reader->descriptor->natts;
    bool has_null = false;
    for (int i = 0; i < columns; i++)
        has_null = has_null || reader->nulls[i];
    const Size header =
        MAXALIGN(SizeofMinimalTupleHeader + (has_null ? static_cast<Size>(BITMAPLEN(columns)) : Size{0}));
    const Size data = heap_compute_data_size(reader->descriptor, reader->values, reader->nulls);
    const Size bytes = MAXALIGN(header + data);
    make_room(reader, bytes);
    MinimalTuple tuple = reinterpret_cast<MinimalTuple>(reader->parcel + reader->bytes);
    memset(tuple, 0, bytes);
    tuple->t_len = static_cast<uint32>(header + data);
    tuple->t_infomask2 = static_cast<uint16>(columns);
    tuple->t_hoff = static_cast<uint8>(header + MINIMAL_TUPLE_OFFSET);
    heap_fill_tuple(reader->descriptor, reader->values, reader->nulls, reinterpret_cast<char *>(tuple) + header, data,
                    &tuple->t_infomask, has_null ? tuple->t_bits : nullptr);
    reader->bytes += bytes;
    reader->rows++;
}

bool take_row(TupleTableSlot *slot, DestReceiver *self) {
    Reader *reader = reinterpret_cast<Reader *>(self);
    if ((reader->bytes >= parcel_bytes || reader->rows >= reader->most_rows) && !send_parcel(reader)) return false;
    const Size columns = static_cast<Size>(reader->descriptor->natts - catalog::ordinal_attno);
    slot_getallattrs(slot);
    reader->values[0] = Int64GetDatum(reader->sent + reader->rows + 1);
    memcpy(reader->values + catalog::ordinal_attno, slot->tts_values, sizeof(Datum) * columns);
    memcpy(reader->nulls + catalog::ordinal_attno, slot->tts_isnull, sizeof(bool) * columns);
    append_row(reader);
    return true;
}

void start_receiver(DestReceiver *self, int, TupleDesc given) {
    Reader *reader = reinterpret_cast<Reader *>(self);
    const int columns = given->natts + catalog::ordinal_attno;
    reader->descriptor = CreateTemplateTupleDesc(columns);
    TupleDescInitBuiltinEntry(reader->descriptor, catalog::ordinal_attno, "ordinal", INT8OID, -1, 0);
    for (int i = 1; i <= given->natts; i++)
        TupleDescCopyEntry(reader->descriptor, static_cast<AttrNumber>(i + catalog::ordinal_attno), given,
                           static_cast<AttrNumber>(i));
    reader->values = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(columns)));
    reader->nulls = static_cast<bool *>(palloc0(sizeof(bool) * static_cast<Size>(columns)));
}

void end_receiver(DestReceiver *) {}

// Tells every worker that no more rows come, and waits until all are committed.
void end_stream(Reader *reader) {
    if (reader->rows > 0 && !send_parcel(reader)) return;
    put_header(reader);
    for (int i = 0; i < shared::count_queues(reader->sender) && !reader->broken; i++)
        reader->broken =
            !shared::send(reader->sender, i, reinterpret_cast<shared::Parcel *>(reader->parcel), reader->bytes);
    while (!reader->broken && !shared::all_finished(reader->sender))
        (void)wait_for_workers(reader);
}

// The snapshot is held until the end: rows may refer to values that are stored out of line, which vacuum keeps for it.
// No lock on tables of ours is: DROP EXTENSION would wait for us, and the workers, for whom we wait, for it.
void send_rows(Worker *worker, shared::Sender *sender, const catalog::WorkTable &table) {
    pg::begin_transaction();
    MemoryContextSwitchTo(worker->chunk_memory);
    PushActiveSnapshot(GetTransactionSnapshot());
    PlannedStmt *plan = job::plan_source(*worker->job, table);
    Reader reader = {};
    reader.receiver = {take_row, start_receiver, end_receiver, end_receiver, DestNone};
    reader.worker = worker;
    reader.sender = sender;
    reader.capacity = parcel_bytes;
    reader.parcel = static_cast<char *>(palloc(reader.capacity));
    begin_parcel(&reader);
    walk::run_plan(plan, table.query, &reader.receiver);
    if (!reader.broken) end_stream(&reader);
    PopActiveSnapshot();
    pg::commit_transaction();
}

// A stream that breaks again and again does so for a reason.
void require_few_restarts(const Worker &worker, int64 restarts) {
    if (restarts <= worker.settings.retry_limit) return;
    ereport(ERROR,
            (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
             errmsg("the stream began anew %lld times without coming to its end", static_cast<long long>(restarts)),
             errdetail("retry_limit is %d.", worker.settings.retry_limit),
             errhint("stride.events and the server log tell why; walk => 'spool' goes on where it stopped.")));
}

// Rows that an earlier reader has sent are sent again: brings the splits back to their beginning, and forgets the rows
// that were kept aside.
shared::Sender *open_stream(Worker *worker, catalog::WorkTable *table) {
    const int64 job_id = worker->job->job_id;
    pg::begin_transaction();
    MemoryContextSwitchTo(worker->chunk_memory);
    if (!catalog::find_work_table(job_id, table)) elog(ERROR, "the job has no query");
    if (catalog::begin_splits_anew(job_id)) {
        catalog::delete_saved_rows(worker->job->source);
        catalog::append_event(job_id, {nullptr, nullptr}, "restart", nullptr, nullptr, "the stream begins anew");
        require_few_restarts(*worker, catalog::count_run_events(job_id, "restart"));
    }
    const int queues = static_cast<int>(catalog::count_splits(job_id).all);
    STRIDE_TEST_POINT("before_stream");
    pg::commit_transaction();
    MemoryContextSwitchTo(TopMemoryContext);
    shared::Sender *sender = shared::create_channel(queues, worker->sizer.rows());
    shared::set_phase(worker->slot, shared::Phase::streaming);
    shared::publish_stream(worker->slot, shared::channel_handle(sender));
    shared::wake(worker->order.database); // the scheduler has waited for it to start the workers
    return sender;
}

// The workers see it in their queues, and end.
void close_stream(Worker *worker, shared::Sender *sender) {
    if (sender == nullptr) return;
    shared::publish_stream(worker->slot, DSM_HANDLE_INVALID);
    shared::close_sender(sender);
}

} // namespace

void run_reader(Worker *worker) {
    for (int attempt = 1;; attempt++) {
        pgstat_report_activity(STATE_RUNNING, worker->activity);
        MemoryContextReset(worker->chunk_memory);
        shared::Sender *sender = nullptr;
        ErrorData *error = bridge::attempt(worker->chunk_memory, [&] {
            catalog::WorkTable table;
            sender = open_stream(worker, &table);
            send_rows(worker, sender, table);
        });
        if (error == nullptr) return;
        AbortCurrentTransaction();
        close_stream(worker, sender);
        // A limit that was exceeded will be the next time too.
        if (error->sqlerrcode != ERRCODE_CONFIGURATION_LIMIT_EXCEEDED && wait_before_retry(worker, attempt, error))
            continue;
        if (shared::wanted_stop(worker->slot) == shared::Stop::none) record_planning_error(worker, error);
        return;
    }
}

} // namespace stride::process
