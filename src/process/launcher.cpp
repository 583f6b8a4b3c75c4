// The launcher: always there, connected to no database; starts a scheduler where a wake-up came.  At its own start it
// visits every connectable database once, one scheduler at a time, so that work left by a crash, a restart or a
// promotion goes on.
// Regime: pg.  Locks: those of a scan of pg_database.  It runs no user code and no SQL.
#include "process/launcher.hpp"

#include "pg/background.hpp"
#include "shared/wakeup.hpp"
#include "shared/worker_slots.hpp"

namespace stride::process {
namespace {

constexpr long retry_ms = 1000; // after a scheduler could not be started or ended in an error
constexpr long visit_ms = 10;   // between two databases of the first round
constexpr long idle_ms = 60000; // a look without a wake-up, should one ever be lost

// A scheduler that was registered and has not shown itself in shared memory yet.
struct Starting {
    BackgroundWorkerHandle *handle;
    Oid database;
    uint64 generation; // the database's wake-ups when it was registered
};

struct Launcher {
    MemoryContext memory;
    List *to_visit; // List of Oid: databases still to be looked into after the start
    Starting starting;
};

// Databases that allow connections and are no templates.
List *connectable_databases(MemoryContext memory) {
    List *databases = NIL;
    StartTransactionCommand();
    (void)GetTransactionSnapshot();
    Relation catalog = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(catalog, 0, nullptr);
    HeapTuple tuple;
    while ((tuple = heap_getnext(scan, ForwardScanDirection)) != nullptr) {
        CHECK_FOR_INTERRUPTS();
        const Form_pg_database form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
        if (!form->datallowconn || form->datistemplate) continue;
        MemoryContext previous = MemoryContextSwitchTo(memory);
        databases = lappend_oid(databases, form->oid);
        MemoryContextSwitchTo(previous);
    }
    table_endscan(scan);
    table_close(catalog, AccessShareLock);
    CommitTransactionCommand();
    return databases;
}

bool is_connectable(Oid database) {
    StartTransactionCommand();
    HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
    const bool connectable =
        HeapTupleIsValid(tuple) && reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datallowconn;
    if (HeapTupleIsValid(tuple)) ReleaseSysCache(tuple);
    CommitTransactionCommand();
    return connectable;
}

// True while a registered scheduler may still come up; frees the handle otherwise.
bool is_starting(Starting *starting) {
    if (starting->handle == nullptr) return false;
    pid_t pid;
    const BgwHandleStatus status = GetBackgroundWorkerPid(starting->handle, &pid);
    const bool pending =
        status == BGWH_NOT_YET_STARTED || (status == BGWH_STARTED && !shared::has_scheduler(starting->database));
    if (pending) return true;
    pfree(starting->handle);
    starting->handle = nullptr;
    return false;
}

bool start_scheduler(Launcher *launcher, Oid database) {
    BackgroundWorker worker =
        pg::describe_worker("pg_stride scheduler", "pg_stride scheduler", "stride_scheduler_main");
    worker.bgw_main_arg = ObjectIdGetDatum(database);
    worker.bgw_notify_pid = MyProcPid;
    MemoryContext previous = MemoryContextSwitchTo(launcher->memory);
    const bool registered = RegisterDynamicBackgroundWorker(&worker, &launcher->starting.handle);
    MemoryContextSwitchTo(previous);
    launcher->starting.database = database;
    launcher->starting.generation = shared::generation(database);
    if (!registered) launcher->starting.handle = nullptr;
    return registered;
}

// One step: starts at most one scheduler.  Returns how long to wait for the next.
long step(Launcher *launcher) {
    if (shared::take_probe_all()) {
        list_free(launcher->to_visit);
        launcher->to_visit = connectable_databases(launcher->memory);
    }
    shared::release_failed_of_idle_databases();
    if (is_starting(&launcher->starting)) return retry_ms;

    const shared::PendingDatabases pending = shared::pending_databases();
    for (int i = 0; i < pending.count; i++) {
        // The one that was tried last waits for the others, so that a database that fails does not hold them up.
        const Oid database = pending.databases[i];
        if (database == launcher->starting.database && pending.count > 1) continue;
        if (!is_connectable(database)) {
            shared::forget_database(database);
            continue;
        }
        // A wake-up that came since is new work; without one the scheduler that was started for it has failed.
        const bool again =
            database == launcher->starting.database && shared::generation(database) == launcher->starting.generation;
        launcher->starting.database = InvalidOid;
        if (again) return retry_ms;
        (void)start_scheduler(launcher, database);
        return retry_ms;
    }
    launcher->starting.database = InvalidOid;
    if (launcher->to_visit == NIL) return idle_ms;
    const Oid next = linitial_oid(launcher->to_visit);
    launcher->to_visit = list_delete_first(launcher->to_visit);
    shared::wake(next);
    return visit_ms;
}

void withdraw(int, Datum) {
    LWLockAcquire(shared::area->lock, LW_EXCLUSIVE);
    shared::area->launcher_latch = nullptr;
    LWLockRelease(shared::area->lock);
}

} // namespace

void register_launcher() {
    BackgroundWorker worker = pg::describe_worker("pg_stride launcher", "pg_stride launcher", "stride_launcher_main");
    worker.bgw_restart_time = 1;
    RegisterBackgroundWorker(&worker);
}

void launcher_main() {
    pg::set_up_signals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    before_shmem_exit(withdraw, 0);
    LWLockAcquire(shared::area->lock, LW_EXCLUSIVE);
    shared::area->launcher_latch = MyLatch;
    LWLockRelease(shared::area->lock);

    Launcher launcher = {};
    launcher.memory = AllocSetContextCreate(TopMemoryContext, "pg_stride launcher", ALLOCSET_SMALL_SIZES);
    launcher.to_visit = connectable_databases(launcher.memory);
    for (;;) {
        const long timeout_ms = step(&launcher);
        pg::wait_latch(timeout_ms, PG_WAIT_EXTENSION);
    }
}

} // namespace stride::process
