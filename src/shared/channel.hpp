// The rows of a stream on their way from its reader to its workers: one segment of dynamic shared memory a stream, with
// one queue (shm_mq) a split.  The reader makes it; it goes with the last process that is attached, however that ends.
// Regime: pg.  Locks: none.  Lives in the current memory context, and as long as the process or until it is closed.
//
// A reader gives a queue no more than two chunks ahead of what its worker has committed, and no more bytes than fit: so
// a worker that is slow does not keep the reader from the others, and memory stays what it is.  The one exception is a
// parcel that is larger than a queue, by a large row in it, which goes through an empty one piece by piece.
#pragma once

#include "pg/pg.hpp"

namespace stride::shared {

// How many bytes of parcels a queue holds.
constexpr Size queue_bytes = 2 * 1024 * 1024;
// Its own bookkeeping counts bytes as read only a quarter of the queue at a time.
constexpr Size queue_room = queue_bytes / 4 * 3 - 1024;

// Rows that travel together: `rows` minimal tuples, each at a multiple of MAXIMUM_ALIGNOF, the first of which has the
// number `first` in the order of the query.  One without rows is the end of the stream.
struct Parcel {
    int64 first;
    int64 rows;
};
constexpr Size parcel_header = MAXALIGN(sizeof(Parcel));

// The reader's side.
struct Sender;
Sender *create_channel(int queues, int64 rows_wanted); // at first, of a chunk
dsm_handle channel_handle(const Sender *sender);
int count_queues(const Sender *sender);
bool has_lost_worker(
    const Sender *sender); // some worker has left before the end: the stream can't come to a good end any more
int find_room(Sender *sender, Size bytes); // a queue that can take that many bytes now, in turn; -1 = none
int64 most_rows(const Sender *sender);     // of a parcel: no chunk is to have fewer
bool send(Sender *sender, int queue, const Parcel *parcel, Size bytes); // false if its worker is gone
bool all_finished(const Sender *sender); // every worker has committed the last of its rows
void close_sender(Sender *sender);       // before the end, as a process does that exits

// A worker's side.  nullptr if there is no such stream, or if somebody was attached to the queue before.
struct Receiver;
Receiver *attach_channel(dsm_handle handle, int queue);
enum class Received { parcel, nothing, gone };
Received receive(Receiver *receiver, const Parcel **parcel); // which is good until the next call; waits for nothing
void want_rows(Receiver *receiver, int64 rows);              // how many a chunk may have now
void count_committed(Receiver *receiver, int64 rows);
void finish_queue(Receiver *receiver); // after the commit of the last rows
void close_receiver(Receiver *receiver);

} // namespace stride::shared
