// The scheduler of one database: lives while there are queued or running jobs; the only process that writes job rows.
// Regime: pg.  Connects as the bootstrap superuser, runs fixed statements only, as the extension owner.  Each request
// and each job is a transaction of its own, so that an error with one does not hold up the others.
#include "process/scheduler.hpp"

#include "bridge/attempt.hpp"
#include "catalog/request.hpp"
#include "catalog/work_table.hpp"
#include "pace/server_signals.hpp"
#include "settings/settings.hpp"
#include "pg/test_point.hpp"
#include "pg/transaction.hpp"
#include "pg/background.hpp"
#include "queue/automatic.hpp"
#include "queue/queue.hpp"
#include "queue/requests.hpp"
#include "shared/signals.hpp"
#include "shared/wakeup.hpp"
#include "shared/worker_slots.hpp"

namespace stride::process {
namespace {

constexpr int64 purge_interval_us = 3600LL * 1000000;

struct Scheduler {
    MemoryContext memory; // as long as the process
    MemoryContext round;  // reset every round
    queue::Queue queue;
    TimestampTz next_purge;
    char last_error[256]; // an error that repeats is logged once
};

// Runs f in a transaction; false if it failed, with the error logged.
template <class F>
bool in_transaction(Scheduler *scheduler, F &&f) {
    ErrorData *error = bridge::attempt(scheduler->round, [&] {
        pg::begin_transaction();
        PushActiveSnapshot(GetTransactionSnapshot());
        MemoryContextSwitchTo(scheduler->round);
        f();
        PopActiveSnapshot();
        pg::commit_transaction();
    });
    if (error == nullptr) {
        MemoryContextSwitchTo(scheduler->round);
        return true;
    }
    AbortCurrentTransaction();
    MemoryContextSwitchTo(scheduler->round);
    if (strncmp(scheduler->last_error, error->message, sizeof(scheduler->last_error) - 1) != 0)
        ereport(LOG, (errmsg("pg_stride scheduler: %s", error->message),
                      error->detail ? errdetail_internal("%s", error->detail) : 0));
    strlcpy(scheduler->last_error, error->message, sizeof(scheduler->last_error));
    return false;
}

bool is_installed(Scheduler *scheduler) {
    bool installed = true; // an error says nothing about it
    (void)in_transaction(scheduler, [&] { installed = OidIsValid(pg::extension_oid()); });
    return installed;
}

void apply_requests(Scheduler *scheduler) {
    List *requests = NIL;
    if (!in_transaction(scheduler, [&] { requests = catalog::pending_requests(); })) return;
    (void)in_transaction(scheduler, [] { queue::apply_cancel_flags(); });
    ListCell *cell;
    foreach (cell, requests) {
        const catalog::Request *request = static_cast<catalog::Request *>(lfirst(cell));
        const bool applied = in_transaction(scheduler, [&] {
            if (queue::apply_request(*request)) catalog::delete_request(request->request_id);
        });
        // A request that cannot be applied is dropped, with a line in the log, rather than tried for ever.
        if (applied)
            queue::announce_request(*request);
        else
            (void)in_transaction(scheduler, [&] { catalog::delete_request(request->request_id); });
    }
}

// Once a second for the whole cluster; a signal that can't be read does not keep the others from being read.
void read_signals_if_due(Scheduler *scheduler) {
    if (!shared::claim_signals()) return;
    (void)in_transaction(scheduler, pace::read_replication);
    (void)in_transaction(scheduler, pace::read_archive);
    (void)in_transaction(scheduler, pace::read_activity);
}

// Returns in how many ms those that could not be dropped are to be tried again, -1 if there are none.
long drop_work_tables(Scheduler *scheduler) {
    bool all = false;
    (void)in_transaction(scheduler, [&] { all = catalog::drop_unneeded_work_tables(); });
    return all ? -1 : queue::active_wait_ms;
}

// One round over requests and jobs; returns when to look again, -1 if nothing here needs a scheduler.
long run_round(Scheduler *scheduler) {
    apply_requests(scheduler);
    queue::begin_round(&scheduler->queue);
    List *jobs = NIL;
    Oid extension = InvalidOid;
    const bool read = in_transaction(scheduler, [&] {
        jobs = catalog::unfinished_jobs();
        extension = pg::extension_oid();
    });
    if (!read) return queue::active_wait_ms;
    STRIDE_TEST_POINT("scheduler_round");
    if (jobs != NIL) read_signals_if_due(scheduler);
    long next_ms = -1;
    const auto look_again = [&](long wait_ms) {
        if (wait_ms >= 0 && (next_ms < 0 || wait_ms < next_ms)) next_ms = wait_ms;
    };
    ListCell *cell;
    foreach (cell, jobs) {
        catalog::Job *job = static_cast<catalog::Job *>(lfirst(cell));
        const core::JobState before = job->state;
        long wait_ms = queue::active_wait_ms;
        (void)in_transaction(scheduler, [&] {
            wait_ms = queue::advance_job(&scheduler->queue, job);
            // Asked under the locks that were taken: the ids of an extension made anew are those of other jobs.
            if (pg::extension_oid() != extension) elog(ERROR, "the extension was made anew");
        });
        if (job->state != before) ConditionVariableBroadcast(&shared::area->job_changed);
        look_again(wait_ms);
    }
    look_again(drop_work_tables(scheduler));
    return next_ms;
}

void purge_if_due(Scheduler *scheduler) {
    const TimestampTz now = GetCurrentTimestamp();
    if (now < scheduler->next_purge) return;
    scheduler->next_purge = now + purge_interval_us;
    (void)in_transaction(scheduler,
                         [] { catalog::purge_history(settings::resolve_settings(nullptr).history_retention); });
}

// Waits until the next round is due or somebody wakes us, and looks at the workers of jobs that choose their number.
void nap(Scheduler *scheduler, long wait_ms) {
    while (wait_ms > 0) {
        const long step_ms = scheduler->queue.automatic == NIL ? wait_ms : Min(wait_ms, queue::look_ms);
        if (pg::wait_latch(step_ms, PG_WAIT_EXTENSION)) return;
        if (queue::look_at_workers(&scheduler->queue)) return;
        wait_ms -= step_ms;
    }
}

void withdraw(int, Datum database) {
    shared::drop_scheduler(DatumGetObjectId(database));
}

} // namespace

void scheduler_main(Oid database) {
    pg::set_up_signals();
    if (!shared::become_scheduler(database)) return;
    before_shmem_exit(withdraw, ObjectIdGetDatum(database));
    BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
    shared::release_orphans(database);

    Scheduler scheduler = {};
    scheduler.memory = AllocSetContextCreate(TopMemoryContext, "pg_stride scheduler", ALLOCSET_DEFAULT_SIZES);
    scheduler.round = AllocSetContextCreate(scheduler.memory, "pg_stride scheduler round", ALLOCSET_DEFAULT_SIZES);
    scheduler.queue.memory = scheduler.memory;
    for (;;) {
        MemoryContextReset(scheduler.round);
        MemoryContextSwitchTo(scheduler.round);
        const uint64 seen = shared::generation(database);
        pgstat_report_activity(STATE_RUNNING, "scheduling jobs");
        const bool installed = is_installed(&scheduler);
        if (installed) purge_if_due(&scheduler);
        const long wait_ms = installed ? run_round(&scheduler) : -1;
        pgstat_report_activity(STATE_IDLE, nullptr);
        if (wait_ms < 0 && shared::retire_scheduler(database, seen)) return;
        nap(&scheduler, wait_ms);
        CHECK_FOR_INTERRUPTS();
    }
}

} // namespace stride::process
