// A worker's pace: what it waits for before its next chunk, and how large that may be.
// Regime: pg.  Called between chunks, with no transaction open and no lock held.
#pragma once

#include "catalog/job.hpp"
#include "settings/settings.hpp"
#include "shared/job_pace.hpp"

namespace stride::pace {

// A worker's state, for the length of its process.
struct Pacer {
    shared::WorkerSlot *slot = nullptr;
    shared::JobPace *job = nullptr;
    MemoryContext memory = nullptr;   // reset at each look
    List *relations = NIL;            // tables that a vacuum holds the job for, and what they keep out of line
    TimestampTz started_at = 0;       // what was read before says nothing of a signal being lost
    TimestampTz standbys_seen_at = 0; // when all that were named were there
    TimestampTz chunk_ended_at = 0;   // of the last chunk, 0 = none
    double chunk_ms = 0;
    uint64 wal_counted = 0; // of this process, as far as it is paid for
};

// `memory` is the parent of the pacer's own context.  The caller is in a transaction.
void begin(Pacer *pacer, const catalog::Job &job, shared::WorkerSlot *slot, MemoryContext memory);

// The tables of the job, without views.  The caller is in a transaction.
void watch(Pacer *pacer, const List *tables);

// What holds the next chunk.
struct Hold {
    const char *reason; // nullptr = nothing does; valid until the next look
    long wait_ms;       // look again then at the latest
};

// Looks at everything that may hold a chunk of `wanted` rows; when nothing does, *granted is how many it may have,
// which are set aside in the run's budget.  May run the throttle_query, in a transaction of its own.
Hold look(Pacer *pacer, const settings::Settings &settings, int64 wanted, int64 *granted);

// A chunk was committed, or (nothing) given up: what was set aside for it is free again.
void count_chunk(Pacer *pacer, const settings::Settings &settings, int64 rows, double work_ms);
void give_up_chunk(Pacer *pacer);

} // namespace stride::pace
