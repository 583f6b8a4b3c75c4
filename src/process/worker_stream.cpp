// A worker's part in a stream.
// Regime: pg.
#include "process/worker_stream.hpp"

#include "pg/background.hpp"
#include "pg/clock.hpp"

namespace stride::process {
namespace {

// A chunk takes no more than a queue holds, so that the reader can fill the one while the worker writes the other.  The
// executor may sort the rows of an upsert, which are in memory twice then.
Size most_bytes(const catalog::Job &job) {
    return strcmp(job.sink, "bulk") == 0 ? shared::queue_room : shared::queue_room / 2;
}

enum class Taken { some, nothing, gone };

// A parcel that would make the chunk larger than it is meant to be waits for the next one, where it lies.
Taken take_parcels(WorkerStream *stream, int64 limit, Size bytes) {
    job::StreamRows *rows = stream->rows;
    while (!rows->ended && rows->held < limit && rows->bytes < bytes) {
        if (stream->parcel == nullptr) {
            const shared::Received received = shared::receive(stream->receiver, &stream->parcel);
            if (received == shared::Received::gone) return Taken::gone;
            if (received == shared::Received::nothing) return Taken::nothing;
        }
        if (rows->held > 0 && rows->held + stream->parcel->rows > limit) return Taken::some;
        rows->ended = stream->parcel->rows == 0;
        if (!rows->ended) job::add_parcel(rows, *stream->parcel);
        stream->parcel = nullptr;
    }
    return Taken::some;
}

} // namespace

bool join_stream(Worker *worker, const catalog::Split &split) {
    const dsm_handle handle = shared::find_stream(worker->order.database, worker->order.job_id);
    if (handle == DSM_HANDLE_INVALID) return false;
    MemoryContext memory = AllocSetContextCreate(TopMemoryContext, "pg_stride stream", ALLOCSET_DEFAULT_SIZES);
    MemoryContext previous = MemoryContextSwitchTo(memory);
    shared::Receiver *receiver = shared::attach_channel(handle, split.split - 1);
    WorkerStream *stream = static_cast<WorkerStream *>(palloc0(sizeof(WorkerStream)));
    *stream = WorkerStream{memory, receiver, job::create_stream_rows(memory), nullptr, 0};
    MemoryContextSwitchTo(previous);
    if (receiver == nullptr)
        MemoryContextDelete(memory);
    else
        worker->stream = stream;
    return receiver != nullptr;
}

bool gather_rows(Worker *worker, int64 limit) {
    WorkerStream *stream = worker->stream;
    shared::set_phase(worker->slot, shared::Phase::reading);
    shared::want_rows(stream->receiver, limit);
    const instr_time start = pg::start_clock();
    for (;;) {
        const Taken taken = take_parcels(stream, limit, most_bytes(*worker->job));
        if (taken != Taken::nothing) return taken == Taken::some;
        if (shared::wanted_stop(worker->slot) != shared::Stop::none) return false;
        const double left_ms = worker->settings.chunk_time - pg::milliseconds_since(start);
        const bool has_rows = stream->rows->held > 0;
        if (has_rows && left_ms <= 0) return true;
        (void)pg::wait_latch(has_rows ? static_cast<long>(left_ms) + 1 : -1, PG_WAIT_EXTENSION);
    }
}

void pass_rows(Worker *worker, int64 rows, bool split_done) {
    WorkerStream *stream = worker->stream;
    job::drop_committed(stream->rows, rows);
    stream->attempts = 0;
    shared::count_committed(stream->receiver, rows);
    if (!split_done) return;
    shared::finish_queue(stream->receiver);
    leave_stream(worker);
}

void leave_stream(Worker *worker) {
    WorkerStream *stream = worker->stream;
    worker->stream = nullptr;
    shared::close_receiver(stream->receiver);
    MemoryContextDelete(stream->memory);
}

} // namespace stride::process
