// Channels.
// Regime: pg.  Whoever changes what the other side may wait for sets its latch.
#include "shared/channel.hpp"

namespace stride::shared {
namespace {

constexpr int chunks_ahead = 2;

enum class QueueState : uint32 { open, attached, finished, lost };

struct Queue {
    // Written by the worker.
    pg_atomic_uint32 state; // QueueState: from open on
    pg_atomic_uint64 rows_wanted;
    pg_atomic_uint64 rows_committed;
    pg_atomic_uint64 bytes_received;
    // Written by the reader.
    pg_atomic_uint64 rows_sent;
    pg_atomic_uint64 bytes_sent;
};

struct Header {
    Latch *reader; // of a PGPROC, which is there as long as the server
    int queues;
    Queue queue[FLEXIBLE_ARRAY_MEMBER];
};

Size queues_offset(int queues) {
    return MAXALIGN(offsetof(Header, queue) + sizeof(Queue) * static_cast<Size>(queues));
}

shm_mq *queue_at(dsm_segment *segment, const Header *header, int queue) {
    char *start = static_cast<char *>(dsm_segment_address(segment)) + queues_offset(header->queues);
    return reinterpret_cast<shm_mq *>(start + queue_bytes * static_cast<Size>(queue));
}

QueueState state_of(const Queue &queue) {
    return static_cast<QueueState>(pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&queue.state)));
}

uint64 read(const pg_atomic_uint64 &value) {
    return pg_atomic_read_u64(const_cast<pg_atomic_uint64 *>(&value));
}

// A worker's end, at whatever place: runs too when the process exits by FATAL.
void lose_unfinished(dsm_segment *segment, Datum number) {
    Header *header = static_cast<Header *>(dsm_segment_address(segment));
    Queue &queue = header->queue[DatumGetInt32(number)];
    uint32 attached = static_cast<uint32>(QueueState::attached);
    (void)pg_atomic_compare_exchange_u32(&queue.state, &attached, static_cast<uint32>(QueueState::lost));
    SetLatch(header->reader);
}

} // namespace

struct Sender {
    dsm_segment *segment;
    Header *header;
    int next; // whose turn it is
    shm_mq_handle *handles[FLEXIBLE_ARRAY_MEMBER];
};

struct Receiver {
    dsm_segment *segment;
    Header *header;
    Queue *queue;
    shm_mq_handle *handle;
    Size in_use; // bytes of the parcel that was received last
};

Sender *create_channel(int queues, int64 rows_wanted) {
    const Size count = static_cast<Size>(queues);
    dsm_segment *segment = dsm_create(queues_offset(queues) + queue_bytes * count, 0);
    dsm_pin_mapping(segment);
    Sender *sender = static_cast<Sender *>(palloc(offsetof(Sender, handles) + sizeof(shm_mq_handle *) * count));
    sender->segment = segment;
    sender->header = static_cast<Header *>(dsm_segment_address(segment));
    sender->next = 0;
    sender->header->reader = &MyProc->procLatch;
    sender->header->queues = queues;
    for (int i = 0; i < queues; i++) {
        Queue &queue = sender->header->queue[i];
        pg_atomic_init_u32(&queue.state, static_cast<uint32>(QueueState::open));
        pg_atomic_init_u64(&queue.rows_wanted, static_cast<uint64>(rows_wanted));
        pg_atomic_init_u64(&queue.rows_committed, 0);
        pg_atomic_init_u64(&queue.bytes_received, 0);
        pg_atomic_init_u64(&queue.rows_sent, 0);
        pg_atomic_init_u64(&queue.bytes_sent, 0);
        shm_mq *mq = shm_mq_create(queue_at(segment, sender->header, i), queue_bytes);
        shm_mq_set_sender(mq, MyProc);
        sender->handles[i] = shm_mq_attach(mq, segment, nullptr);
    }
    return sender;
}

dsm_handle channel_handle(const Sender *sender) {
    return dsm_segment_handle(sender->segment);
}

int count_queues(const Sender *sender) {
    return sender->header->queues;
}

bool has_lost_worker(const Sender *sender) {
    for (int i = 0; i < sender->header->queues; i++)
        if (state_of(sender->header->queue[i]) == QueueState::lost) return true;
    return false;
}

int find_room(Sender *sender, Size bytes) {
    for (int i = 0; i < sender->header->queues; i++) {
        const int number = (sender->next + i) % sender->header->queues;
        const Queue &queue = sender->header->queue[number];
        if (state_of(queue) != QueueState::attached) continue;
        const uint64 rows_ahead = read(queue.rows_sent) - read(queue.rows_committed);
        if (rows_ahead >= chunks_ahead * read(queue.rows_wanted)) continue;
        const uint64 bytes_ahead = read(queue.bytes_sent) - read(queue.bytes_received);
        if (bytes_ahead > 0 && bytes_ahead + bytes > queue_room) continue;
        sender->next = number + 1;
        return number;
    }
    return -1;
}

int64 most_rows(const Sender *sender) {
    uint64 least = PG_UINT64_MAX;
    for (int i = 0; i < sender->header->queues; i++)
        least = Min(least, read(sender->header->queue[i].rows_wanted));
    return static_cast<int64>(least);
}

bool send(Sender *sender, int number, const Parcel *parcel, Size bytes) {
    Queue &queue = sender->header->queue[number];
    pg_atomic_write_u64(&queue.rows_sent, read(queue.rows_sent) + static_cast<uint64>(parcel->rows));
    pg_atomic_write_u64(&queue.bytes_sent, read(queue.bytes_sent) + bytes);
    return shm_mq_send(sender->handles[number], bytes, parcel, false, true) == SHM_MQ_SUCCESS;
}

bool all_finished(const Sender *sender) {
    for (int i = 0; i < sender->header->queues; i++)
        if (state_of(sender->header->queue[i]) != QueueState::finished) return false;
    return true;
}

void close_sender(Sender *sender) {
    for (int i = 0; i < sender->header->queues; i++)
        shm_mq_detach(sender->handles[i]);
    dsm_detach(sender->segment);
    pfree(sender);
}

Receiver *attach_channel(dsm_handle handle, int number) {
    dsm_segment *segment = dsm_attach(handle);
    if (segment == nullptr) return nullptr;
    Header *header = static_cast<Header *>(dsm_segment_address(segment));
    uint32 open = static_cast<uint32>(QueueState::open);
    if (number >= header->queues || !pg_atomic_compare_exchange_u32(&header->queue[number].state, &open,
                                                                    static_cast<uint32>(QueueState::attached))) {
        dsm_detach(segment);
        return nullptr;
    }
    on_dsm_detach(segment, lose_unfinished, Int32GetDatum(number));
    dsm_pin_mapping(segment);
    shm_mq *mq = queue_at(segment, header, number);
    shm_mq_set_receiver(mq, MyProc);
    Receiver *receiver = static_cast<Receiver *>(palloc(sizeof(Receiver)));
    *receiver = Receiver{segment, header, &header->queue[number], shm_mq_attach(mq, segment, nullptr), 0};
    SetLatch(header->reader);
    return receiver;
}

Received receive(Receiver *receiver, const Parcel **parcel) {
    Size bytes;
    void *data;
    if (receiver->in_use > 0) { // the parcel that was received last leaves the queue
        pg_atomic_write_u64(&receiver->queue->bytes_received, read(receiver->queue->bytes_received) + receiver->in_use);
        receiver->in_use = 0;
        SetLatch(receiver->header->reader);
    }
    switch (shm_mq_receive(receiver->handle, &bytes, &data, true)) {
    case SHM_MQ_SUCCESS:
        break;
    case SHM_MQ_WOULD_BLOCK:
        return Received::nothing;
    case SHM_MQ_DETACHED:
        return Received::gone;
    }
    *parcel = static_cast<const Parcel *>(data);
    receiver->in_use = bytes;
    return Received::parcel;
}

void want_rows(Receiver *receiver, int64 rows) {
    pg_atomic_write_u64(&receiver->queue->rows_wanted, static_cast<uint64>(rows));
    SetLatch(receiver->header->reader);
}

void count_committed(Receiver *receiver, int64 rows) {
    pg_atomic_write_u64(&receiver->queue->rows_committed,
                        read(receiver->queue->rows_committed) + static_cast<uint64>(rows));
    SetLatch(receiver->header->reader);
}

void finish_queue(Receiver *receiver) {
    pg_atomic_write_u32(&receiver->queue->state, static_cast<uint32>(QueueState::finished));
    SetLatch(receiver->header->reader);
}

void close_receiver(Receiver *receiver) {
    // Before the segment that its handle points into.
    dsm_detach(receiver->segment);
    pfree(receiver);
}

} // namespace stride::shared
