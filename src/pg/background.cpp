// Shared by the mains.
// Regime: pg.
#include "pg/background.hpp"

namespace stride::pg {

void set_up_signals() {
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGINT, StatementCancelHandler);
    BackgroundWorkerUnblockSignals();
    ProcessConfigFile(PGC_SIGHUP);
}

void reload_if_asked() {
    if (!ConfigReloadPending) return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
}

bool wait_latch(long timeout_ms, uint32 wait_event) {
    const int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout_ms >= 0 ? WL_TIMEOUT : 0);
    const int woken = WaitLatch(MyLatch, events, timeout_ms, wait_event);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    reload_if_asked();
    return (woken & WL_LATCH_SET) != 0;
}

BackgroundWorker describe_worker(const char *type, const char *name, const char *function) {
    BackgroundWorker worker;
    memset(&worker, 0, sizeof(worker));
    strlcpy(worker.bgw_type, type, sizeof(worker.bgw_type));
    strlcpy(worker.bgw_name, name, sizeof(worker.bgw_name));
    strlcpy(worker.bgw_library_name, "pg_stride", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
#if PG_VERSION_NUM >= 190000
    worker.bgw_flags |= BGWORKER_INTERRUPTIBLE;
#endif
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    return worker;
}

} // namespace stride::pg
