// Worker slots: who runs where, under the caps; the stop word; the live counters behind the views.
// Regime: pg.  Takes the area's lock for short sections.
#pragma once

#include "shared/area.hpp"

namespace stride::shared {

struct Caps {
    int cluster; // stride.max_workers
    int per_job;
    int per_role;
};

enum class Take { taken, cluster_full, job_full, role_full };

// Takes a slot for a new worker of the job; *index and *cookie identify it, *worker is its number.
Take take_slot(Oid database, Oid owner, int64 job_id, Task task, const Caps &caps, int *index, int64 *cookie,
               int32 *worker);

// Gives a slot back whose worker never attached (its registration failed, or it stopped before it began).
void release_slot(int index, int64 cookie);

// The worker's side.  attach returns nullptr when the slot is no longer meant for it.
WorkerSlot *attach_slot(int index, int64 cookie);
void heartbeat(WorkerSlot *slot);
void detach_slot(WorkerSlot *slot) noexcept;
void set_phase(WorkerSlot *slot, Phase phase);
void set_waiting_for(WorkerSlot *slot, const char *reason); // nullptr = runs freely
double take_waited_ms(); // how long this worker had something to wait for, since it last asked
void count_rows(WorkerSlot *slot, int64 rows, TimestampTz now);
void count_wait(WorkerSlot *slot, TimestampTz from, TimestampTz to); // throttled time, which no rate counts
Stop wanted_stop(WorkerSlot *slot);
bool take_altered(WorkerSlot *slot);
void set_source_held(WorkerSlot *slot, bool held);        // of a keeper
void publish_stream(WorkerSlot *slot, dsm_handle stream); // by the reader, once its workers may join

// The stream of the job that is open now, DSM_HANDLE_INVALID = none.
dsm_handle find_stream(Oid database, int64 job_id);

// The scheduler's side.
int count_workers(Oid database, int64 job_id); // of all tasks but a keeper's
int count_workers(Oid database, int64 job_id, Task task);
void ask_stop(Oid database, int64 job_id, Task task, Stop stop); // Stop::now also sends SIGTERM to attached workers
int count_spare(Oid database, Oid owner, int64 job_id, const Caps &caps); // how many more workers the job may take now

// The job's processes that run chunks, as many as fit.
constexpr int max_processes_seen = 256;
struct ProcessesView {
    int count;
    int pids[max_processes_seen];
    bool throttled[max_processes_seen]; // waits for a throttle, a back-off or a switch
};
ProcessesView view_processes(Oid database, int64 job_id);
void ask_surplus_stop(Oid database, int64 job_id, int keep); // lets the highest-numbered workers over `keep` end
void tell_altered(Oid database, int64 job_id);               // workers read their job's row again before the next chunk
bool has_heartbeat(Oid database, int64 job_id);              // some worker of the job got as far as its loop
int take_failed_starts(Oid database, int64 job_id);          // frees slots of workers that ended before their heartbeat
void release_orphans(Oid database);          // at scheduler start: slots another scheduler took, never attached
void release_failed_of_idle_databases();     // by the launcher
int64 keeper_of(Oid database, int64 job_id); // the cookie of the one that has its lock; 0 = none
bool is_live(int64 cookie);                  // an attached worker has this cookie

// Copies one slot for the views; false when it is not in use.
struct WorkerView {
    Oid database;
    Oid owner;
    int64 job_id;
    int worker;
    int pid;
    Phase phase;
    uint32 split;
    uint32 chunk;
    int64 rows_done;
    int64 chunk_rows;
    TimestampTz since;
    char waiting_for[reason_bytes];
    double
        rows_per_second; // over the last ten whole seconds that the worker ran, throttled time left out; -1 = unknown
};
bool view_worker(int index, TimestampTz now, WorkerView *view);

} // namespace stride::shared
