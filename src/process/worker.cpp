// The worker's life: attach, connect, load the job, plan it if nobody has, claim splits and run their chunks.
// Regime: pg.  Locks: none between chunks.  It never writes the job's row; what ends it is written to split and
// failure.
#include <new>

#include "process/worker.hpp"

#include "analysis/statement.hpp"
#include "bridge/attempt.hpp"
#include "settings/settings.hpp"
#include "core/chunk_sizer.hpp"
#include "core/error_policy.hpp"
#include "job/block_walk.hpp"
#include "job/leaves.hpp"
#include "job/retry.hpp"
#include "settings/session.hpp"
#include "job/spool.hpp"
#include "job/worklist.hpp"
#include "pg/test_point.hpp"
#include "pg/time_limit.hpp"
#include "pipeline/transform.hpp"
#include "pg/transaction.hpp"
#include "pg/background.hpp"
#include "process/keeper.hpp"
#include "process/reader.hpp"
#include "process/rebuild.hpp"
#include "process/worker_errors.hpp"
#include "process/worker_stream.hpp"
#include "queue/automatic.hpp"
#include "shared/crash_mark.hpp"
#include "shared/wakeup.hpp"
#include "shared/worker_slots.hpp"
#include "sink/index_rebuild.hpp"
#include "sink/page_pool.hpp"
#include "walk/splits.hpp"

namespace stride::process {
namespace {

using shared::Phase;
using shared::Stop;

constexpr int crashes_to_pause = 2;

// Nothing but an abort gives a session's locks on tables back by itself, not even the end of its process.
void leave_slot(int, Datum slot) {
    LockReleaseAll(DEFAULT_LOCKMETHOD, true);
    shared::detach_slot(reinterpret_cast<shared::WorkerSlot *>(DatumGetPointer(slot)));
}

bool asked_to_stop(const Worker &worker) {
    return shared::wanted_stop(worker.slot) != Stop::none;
}

// Loads the job; false when it is gone or not this worker's to run.
bool load_job(Worker *worker) {
    MemoryContextReset(worker->job_memory);
    MemoryContext previous = MemoryContextSwitchTo(worker->job_memory);
    worker->job = catalog::find_job(worker->order.job_id);
    MemoryContextSwitchTo(previous);
    return worker->job != nullptr && worker->job->owner == worker->order.owner;
}

void apply_settings(Worker *worker) {
    MemoryContext previous = MemoryContextSwitchTo(worker->job_memory);
    worker->settings = settings::resolve_settings(worker->job->settings, worker->job->session);
    MemoryContextSwitchTo(previous);
    SetConfigOption("lock_timeout", psprintf("%dms", worker->settings.lock_timeout), PGC_USERSET, PGC_S_SESSION);
}

bool begin(Worker *worker) {
    pg::begin_transaction();
    const bool mine = load_job(worker);
    worker->extension = pg::extension_oid();
    if (mine) {
        settings::replay_session(worker->job->session);
        // Chunks are parallel among themselves; a parallel plan in each would take the cores twice.
        SetConfigOption("max_parallel_workers_per_gather", "0", PGC_USERSET, PGC_S_SESSION);
#if PG_VERSION_NUM >= 170000
        // Meant for clients.  A chunk has its own limit, and what saves rows, sends a stream or builds an index takes
        // its time, and would end at the same place each time.
        SetConfigOption("transaction_timeout", "0", PGC_USERSET, PGC_S_SESSION);
#endif
        apply_settings(worker);
        worker->sizer = core::ChunkSizer(worker->job->chunk_rows, worker->settings.chunk_time);
        pace::begin(&worker->pacer, *worker->job, worker->slot, TopMemoryContext);
    }
    pg::commit_transaction();
    return mine;
}

// stride.alter reaches a worker between two chunks.
void reload_if_altered(Worker *worker) {
    if (!shared::take_altered(worker->slot)) return;
    const int32 rows_before = worker->job->chunk_rows;
    const int time_before = worker->settings.chunk_time;
    MemoryContext previous = CurrentMemoryContext;
    pg::begin_transaction();
    const bool mine = load_job(worker);
    if (mine) apply_settings(worker);
    pg::commit_transaction();
    MemoryContextSwitchTo(previous);
    if (!mine) proc_exit(0);
    if (worker->job->chunk_rows != rows_before || worker->settings.chunk_time != time_before)
        worker->sizer = core::ChunkSizer(worker->job->chunk_rows, worker->settings.chunk_time);
}

// Ends the worker, and its transaction, when the extension was dropped and made anew since the job was loaded: the
// job's id is then another job's.  Called when the transaction holds locks on our tables, so that the answer stays
// true.
void require_same_extension(const Worker &worker) {
    if (pg::extension_oid() != worker.extension) proc_exit(0);
}

// Nobody else would tell a worker that waits.
void end_if_dropped(const Worker &worker) {
    MemoryContext previous = CurrentMemoryContext;
    pg::begin_transaction();
    require_same_extension(worker);
    pg::commit_transaction();
    MemoryContextSwitchTo(previous);
}

// How many rows the next chunk of the split is to have.
int64 next_limit(const Worker &worker, const catalog::Split &split) {
    const int64 rows = core::rows_at_retry(worker.sizer.rows(), split.attempts);
    return worker.bisect.limit(catalog::limit_of_suspects(rows, split.suspect_rows));
}

// Waits at the chunk boundary while something holds the job, and returns how many rows the next chunk may have; 0 when
// the worker is asked to stop.
int64 await_turn(Worker *worker, const catalog::Split &split) {
    bool held = false;
    int64 granted = 0;
    while (!asked_to_stop(*worker)) {
        reload_if_altered(worker);
        const pace::Hold hold = pace::look(&worker->pacer, worker->settings, next_limit(*worker, split), &granted);
        if (hold.reason == nullptr) break;
        if (!held) {
            shared::set_phase(worker->slot, Phase::waiting);
            pgstat_report_activity(STATE_IDLE, nullptr);
        }
        held = true;
        shared::set_waiting_for(worker->slot, hold.reason);
        const TimestampTz from = GetCurrentTimestamp();
        pg::wait_latch(hold.wait_ms, PG_WAIT_EXTENSION);
        shared::count_wait(worker->slot, from, GetCurrentTimestamp());
        end_if_dropped(*worker);
    }
    if (held) shared::set_waiting_for(worker->slot, nullptr);
    return asked_to_stop(*worker) ? 0 : granted;
}

// The rows of a query are there before anything else is decided, and before others have to wait for us.
void save_source_if_any(Worker *worker) {
    catalog::WorkTable table;
    if (!catalog::find_work_table(worker->job->job_id, &table) || table.query == nullptr) return;
    shared::set_phase(worker->slot, Phase::spooling);
    job::save_source(*worker->job, table);
    shared::set_phase(worker->slot, Phase::planning);
}

void plan_job(const Worker &worker) {
    const catalog::Job &job = *worker.job;
    // Where a job that chooses its number of workers takes more than a core each, they halve splits.
    const int workers = job.workers > 0 ? job.workers : queue::automatic_start();
    if (job.retry_of != 0) {
        job::plan_retry(job, workers);
    } else if (job::saves_keys(job)) {
        shared::set_phase(worker.slot, Phase::spooling);
        job::plan_saved_keys(job, workers);
    } else if (job::is_stream(job)) {
        job::plan_stream(job);
    } else {
        // One keeper at both ends: a second one has no plan yet to hold the tables against.
        const int64 keeper = job::walks_blocks(job) ? job::require_keeper(job) : 0;
        walk::plan_splits(job, job::find_leaves_of(job), workers);
        if (job::walks_blocks(job) && job::require_keeper(job) != keeper)
            ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                            errmsg("the lock on %s was lost while the job was planned", job.source_name)));
    }
}

// The source and the target with their partitions, and what is beneath a target that is a view.
List *tables_in_work(const catalog::Job &job) {
    List *tables = NIL;
    for (const Oid relation : {job.source, job.target})
        if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)))
            tables = list_concat(tables, analysis::written_relations(relation, true));
    return tables;
}

// The work of a chunk of the job, in the current memory context.
chunk::Work *chunk_work(const Worker &worker) {
    if (worker.job->retry_of != 0)
        return new (palloc(sizeof(job::RetryStatement))) job::RetryStatement(*worker.job, worker.settings);
    if (job::saves_keys(*worker.job))
        return new (palloc(sizeof(job::WorklistStatement))) job::WorklistStatement(*worker.job, worker.settings);
    if (worker.stream != nullptr)
        return new (palloc(sizeof(job::StreamStatement)))
            job::StreamStatement(*worker.job, worker.settings, *worker.stream->rows);
    return new (palloc(sizeof(job::ChunkStatement))) job::ChunkStatement(*worker.job, worker.settings);
}

// One attempt at planning.  Indexes are dropped in the transaction that makes the plan, so that they are dropped once.
ErrorData *try_to_plan(Worker *worker) {
    MemoryContextReset(worker->chunk_memory);
    return bridge::attempt(worker->chunk_memory, [&] {
        const catalog::Job &job = *worker->job;
        shared::set_phase(worker->slot, Phase::planning);
        pg::begin_transaction();
        MemoryContextSwitchTo(worker->chunk_memory);
        pipeline::check_transform(job);
        pace::watch(&worker->pacer, tables_in_work(job));
        if (!catalog::has_plan(job.job_id)) {
            if (!job::is_stream(job)) save_source_if_any(worker);
            if (catalog::rebuilds_indexes(job)) {
                sink::drop_indexes(job);
                STRIDE_TEST_POINT("after_drop");
            }
        }
        // The scheduler has waited for the splits to start the job's other workers.
        if (!catalog::has_plan(job.job_id)) {
            plan_job(*worker);
            shared::wake_at_commit();
        }
        require_same_extension(*worker);
        STRIDE_TEST_POINT("before_plan_commit");
        pg::commit_transaction();
    });
}

// Plans the job if nobody has.  False when that failed: the failure is written down.
bool plan(Worker *worker) {
    for (int attempt = 1;; attempt++) {
        ErrorData *error = try_to_plan(worker);
        if (error == nullptr) return true;
        AbortCurrentTransaction();
        if (wait_before_retry(worker, attempt, error)) continue;
        if (!asked_to_stop(*worker)) record_planning_error(worker, error);
        return false;
    }
}

// Halves the largest split of another worker and claims the new half.
bool claim_half(Worker *worker, catalog::Split *split) {
    bool claimed = false;
    ErrorData *error = bridge::attempt(worker->chunk_memory, [&] {
        pg::begin_transaction();
        MemoryContextSwitchTo(worker->chunk_memory);
        LockRelationOid(worker->job->source, AccessShareLock);
        job::PositionOrder order = {worker->job, 0, {}};
        if (catalog::halve_largest(worker->job->job_id, job::compare_positions, &order)) {
            catalog::BackOff back_off;
            claimed =
                catalog::claim_split(worker->job->job_id, worker->order.cookie, worker->sizer.rows(), split, &back_off);
            require_same_extension(*worker);
        }
        pg::commit_transaction();
    });
    if (error == nullptr) return claimed;
    AbortCurrentTransaction();
    // Another idle worker was at the same split, or its own worker held it for longer than lock_timeout.
    if (!is_transient(error)) record_planning_error(worker, error);
    return false;
}

// Claims a split, or halves one; waits for one that backs off.  False when there is nothing left for this worker.
bool claim(Worker *worker, catalog::Split *split) {
    for (int attempt = 1;;) {
        MemoryContextReset(worker->chunk_memory);
        MemoryContextSwitchTo(worker->chunk_memory);
        shared::set_phase(worker->slot, Phase::claiming);
        catalog::BackOff back_off = {};
        bool found = false;
        ErrorData *error = bridge::attempt(worker->chunk_memory, [&] {
            pg::begin_transaction();
            MemoryContextSwitchTo(worker->chunk_memory);
            found =
                catalog::claim_split(worker->job->job_id, worker->order.cookie, worker->sizer.rows(), split, &back_off);
            require_same_extension(*worker);
            STRIDE_TEST_POINT("before_claim_commit");
            pg::commit_transaction();
        });
        if (error != nullptr) {
            AbortCurrentTransaction();
            if (wait_before_retry(worker, attempt++, error)) continue;
            if (!asked_to_stop(*worker)) record_planning_error(worker, error);
            return false;
        }
        attempt = 1;
        if (found || asked_to_stop(*worker)) return found;
        if (claim_half(worker, split)) return true;
        if (back_off.ms < 0) return false;
        nap(*worker, back_off.ms, back_off.attempts, back_off.error == nullptr ? "an error" : back_off.error);
        if (asked_to_stop(*worker)) return false;
    }
}

void return_split(const Worker &worker, const catalog::Split &split) {
    pg::begin_transaction();
    catalog::give_back(split, worker.carry.retries);
    pg::commit_transaction();
}

void show_activity(const Worker &worker, const catalog::Split &split, int64 limit) {
    pg_atomic_write_u32(&worker.slot->split, static_cast<uint32>(split.split));
    pg_atomic_write_u32(&worker.slot->chunk, static_cast<uint32>(split.chunks + 1));
    pg_atomic_write_u64(&worker.slot->chunk_rows, static_cast<uint64>(limit));
}

// False when the worker is to end.
bool begin_split(Worker *worker, const catalog::Split &split) {
    worker->carry.retries = 0;
    worker->bisect = {};
    if (split.crashed_cookie != 0) shared::drop_crash_mark(split.crashed_cookie);
    if (split.crashes >= crashes_to_pause) {
        record_crashes(worker, split);
        return false;
    }
    if (!job::is_stream(*worker->job) || join_stream(worker, split)) return true;
    return_split(*worker, split);
    return false;
}

// Runs the chunks of one split, and of those that were claimed with the end of the one before.  False when the worker
// is to end.
bool run_splits(Worker *worker, catalog::Split *split) {
    const chunk::Identity identity = {worker->order.owner,  worker->order.worker, worker->job->attempt,
                                      worker->order.cookie, worker->extension,    worker->slot};
    if (!begin_split(worker, *split)) return false;
    for (;;) {
        // The fence reads the split's keys anew; those of the last chunk go with its memory.
        split->lower = split->position = split->upper = nullptr;
        MemoryContextReset(worker->chunk_memory);
        MemoryContextSwitchTo(worker->chunk_memory);
        if (!PostmasterIsAlive()) proc_exit(1); // nobody would stop us; the split is taken over after the next start
        CHECK_FOR_INTERRUPTS();
        pg::reload_if_asked();
        const int64 limit = await_turn(worker, *split);
        if (limit == 0 || (worker->stream != nullptr && !gather_rows(worker, limit))) {
            return_split(*worker, *split);
            return false;
        }
        worker->carry.wait_ms += shared::take_waited_ms();
        chunk::Work &work = *chunk_work(*worker);
        show_activity(*worker, *split, limit);
        pgstat_report_activity(STATE_RUNNING, worker->activity);
        chunk::Result result = {};
        ErrorData *error = bridge::attempt(worker->chunk_memory, [&] {
            const chunk::Limits limits = {limit, worker->settings.chunk_timeout, worker->sizer.rows()};
            chunk::run_chunk(work, identity, split, limits, &worker->carry, &result);
        });
        if (error != nullptr) {
            pg::end_time_limit();
            AbortCurrentTransaction();
            pace::give_up_chunk(&worker->pacer);
            const Next next = handle_chunk_error(worker, FailedChunk{work, identity, split, result, limit, error});
            if (next == Next::same_split) continue;
            return next == Next::other_split;
        }
        pace::count_chunk(&worker->pacer, worker->settings, result.reach.rows, result.work_ms);
        if (result.outcome == chunk::Outcome::fenced) return true;
        const bool done = result.outcome == chunk::Outcome::split_done;
        if (worker->stream != nullptr) pass_rows(worker, result.reach.rows, done);
        worker->bisect.passed(result.reach.rows);
        if (limit == worker->sizer.rows()) worker->sizer.record(result.reach.rows, result.work_ms);
        if (result.outcome != chunk::Outcome::split_done) continue;
        if (!result.has_next) return true;
        *split = result.next;
        if (!begin_split(worker, *split)) return false;
    }
}

// A worker that leaves a stream before its end takes rows with it that nobody else has.
bool run_claimed(Worker *worker, catalog::Split *split) {
    const bool goes_on = run_splits(worker, split);
    if (worker->stream == nullptr) return goes_on;
    leave_stream(worker);
    return false;
}

// Pages that are not given back are lost until VACUUM finds them: no reason to fail.
void hand_back_pages(const Worker &worker) {
    const ErrorData *error = bridge::attempt(worker.chunk_memory, [] {
        pg::begin_transaction();
        sink::release_page_pool();
        pg::commit_transaction();
    });
    if (error != nullptr) AbortCurrentTransaction();
}

} // namespace

void worker_main() {
    Worker worker;
    memcpy(&worker.order, MyBgworkerEntry->bgw_extra, sizeof(worker.order));
    pg::set_up_signals();
    pg::prepare_time_limit();
    worker.slot = shared::attach_slot(worker.order.slot, worker.order.cookie);
    if (worker.slot == nullptr) return;
    before_shmem_exit(leave_slot, PointerGetDatum(worker.slot));
    BackgroundWorkerInitializeConnectionByOid(worker.order.database, worker.order.owner, 0);

    worker.job_memory = AllocSetContextCreate(TopMemoryContext, "pg_stride job", ALLOCSET_SMALL_SIZES);
    worker.chunk_memory = AllocSetContextCreate(TopMemoryContext, "pg_stride chunk", ALLOCSET_DEFAULT_SIZES);
    worker.activity = psprintf("job %lld", static_cast<long long>(worker.order.job_id));
    SetConfigOption("application_name", psprintf("pg_stride job %lld", static_cast<long long>(worker.order.job_id)),
                    PGC_USERSET, PGC_S_SESSION);
#ifdef STRIDE_DEVEL
    pg::set_test_point_job(worker.order.job_id);
#endif
    STRIDE_TEST_POINT("worker_connected");
    if (!begin(&worker)) return;
    STRIDE_TEST_POINT("job_loaded");
    shared::heartbeat(worker.slot);
    if (worker.order.task == shared::Task::keeper) {
        keep_source(&worker);
        return;
    }
    if (worker.order.task == shared::Task::indexes) {
        rebuild_indexes(&worker);
        return;
    }
    if (!plan(&worker)) return;
    if (worker.order.task == shared::Task::reader) {
        run_reader(&worker);
        return;
    }
    catalog::Split split = {};
    bool goes_on = true;
    while (goes_on && !asked_to_stop(worker) && claim(&worker, &split)) {
        shared::set_crash_mark(worker.order.cookie);
        goes_on = run_claimed(&worker, &split);
        shared::clear_crash_mark();
    }
    hand_back_pages(worker);
}

} // namespace stride::process
