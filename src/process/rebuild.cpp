// The rebuilding of dropped indexes.
// Regime: pg.  Locks: none between two indexes.
#include "process/rebuild.hpp"

#include "bridge/attempt.hpp"
#include "pg/background.hpp"
#include "pg/test_point.hpp"
#include "pg/transaction.hpp"
#include "sink/index_rebuild.hpp"

namespace stride::process {
namespace {

// Indexes are built side by side, a worker each.  Where there are fewer indexes than workers the rest help, up to what
// the owner's own setting allows.
void share_workers(const Worker &worker, int64 indexes) {
    if (worker.job->workers == 0 || indexes == 0) return;
    const int64 helpers = Min(max_parallel_maintenance_workers, Max(0, worker.job->workers / indexes - 1));
    SetConfigOption("max_parallel_maintenance_workers", psprintf("%d", static_cast<int>(helpers)), PGC_USERSET,
                    PGC_S_SESSION);
}

void prepare_session(Worker *worker) {
    pg::begin_transaction();
    share_workers(*worker, catalog::count_dropped_indexes(worker->job->job_id).left);
#if PG_VERSION_NUM >= 170000
    SetConfigOption("transaction_timeout", "0", PGC_USERSET, PGC_S_SESSION); // an index takes as long as it takes
#endif
    pg::commit_transaction();
}

// Rebuilds one index.  False when there is none left for this worker.
bool rebuild_next(Worker *worker) {
    catalog::DroppedIndex dropped = {};
    bool found = false;
    ErrorData *error = bridge::attempt(worker->chunk_memory, [&] {
        pg::begin_transaction();
        MemoryContextSwitchTo(worker->chunk_memory);
        found = catalog::claim_dropped_index(worker->job->job_id, &dropped);
        if (pg::extension_oid() != worker->extension) proc_exit(0); // made anew: the job's id is another job's
        if (found) {
            shared::set_phase(worker->slot, shared::Phase::rebuilding);
            pgstat_report_activity(STATE_RUNNING, dropped.definition);
            STRIDE_TEST_POINT("before_rebuild");
            sink::rebuild_index(*worker->job, dropped);
            STRIDE_TEST_POINT("after_rebuild");
        }
        pg::commit_transaction();
        if (found) STRIDE_TEST_POINT("after_rebuild_commit");
    });
    if (error == nullptr) return found;
    AbortCurrentTransaction();
    if (found) return handle_rebuild_error(worker, dropped, error);
    record_planning_error(worker, error);
    return false;
}

} // namespace

void rebuild_indexes(Worker *worker) {
    prepare_session(worker);
    do {
        MemoryContextReset(worker->chunk_memory);
        MemoryContextSwitchTo(worker->chunk_memory);
        if (!PostmasterIsAlive()) proc_exit(1);
        CHECK_FOR_INTERRUPTS();
        pg::reload_if_asked();
        // What is left when stride.enabled is off is taken up by another worker when it is on again.
    } while (settings::enabled && shared::wanted_stop(worker->slot) == shared::Stop::none && rebuild_next(worker));
}

} // namespace stride::process
