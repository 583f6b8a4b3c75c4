// Shared memory: request, initialisation.
// Regime: pg.  Runs in the postmaster before any backend exists; no lock needed there but AddinShmemInitLock.
#include "shared/area.hpp"

namespace stride::shared {

Area *area = nullptr;

namespace {

shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

Size paces_offset() {
    return MAXALIGN(
        add_size(offsetof(Area, workers), mul_size(sizeof(WorkerSlot), static_cast<Size>(max_worker_processes))));
}

Size area_size() {
    const Size count = static_cast<Size>(max_worker_processes);
    return add_size(paces_offset(), mul_size(sizeof(JobPace), count));
}

void initialise(Area *fresh) {
    memset(static_cast<void *>(fresh), 0, area_size());
    fresh->lock = &(GetNamedLWLockTranche("pg_stride"))->lock;
    ConditionVariableInit(&fresh->job_changed);
    fresh->nworkers = max_worker_processes;
    fresh->paces = reinterpret_cast<JobPace *>(reinterpret_cast<char *>(fresh) + paces_offset());
    for (int i = 0; i < fresh->nworkers; i++) {
        WorkerSlot &slot = fresh->workers[i];
        pg_atomic_init_u32(&slot.stop, 0);
        pg_atomic_init_u32(&slot.altered, 0);
        pg_atomic_init_u32(&slot.phase, 0);
        pg_atomic_init_u32(&slot.split, 0);
        pg_atomic_init_u32(&slot.chunk, 0);
        pg_atomic_init_u64(&slot.rows_done, 0);
        pg_atomic_init_u64(&slot.chunk_rows, 0);
        pg_atomic_init_u64(&slot.since, 0);
    }
}

void request() {
    if (previous_request != nullptr) previous_request();
    RequestAddinShmemSpace(area_size());
    RequestNamedLWLockTranche("pg_stride", 1);
}

void startup() {
    if (previous_startup != nullptr) previous_startup();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found;
    area = static_cast<Area *>(ShmemInitStruct("pg_stride", area_size(), &found));
    if (!found) initialise(area);
    LWLockRelease(AddinShmemInitLock);
}

} // namespace

const char *phase_name(Phase phase) {
    switch (phase) {
    case Phase::starting:
        return "starting";
    case Phase::planning:
        return "planning";
    case Phase::spooling:
        return "spooling";
    case Phase::streaming:
        return "streaming";
    case Phase::claiming:
        return "claiming";
    case Phase::fencing:
        return "fencing";
    case Phase::reading:
        return "reading";
    case Phase::writing:
        return "writing";
    case Phase::checkpointing:
        return "checkpointing";
    case Phase::committing:
        return "committing";
    case Phase::waiting:
        return "waiting";
    case Phase::keeping:
        return "keeping the lock";
    case Phase::rebuilding:
        return "rebuilding indexes";
    }
    return "unknown";
}

void install_hooks() {
    previous_request = shmem_request_hook;
    shmem_request_hook = request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = startup;
}

void require_preload() {
    if (area == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("pg_stride must be loaded through shared_preload_libraries"),
                 errhint("Add pg_stride to shared_preload_libraries in postgresql.conf and restart the server.")));
}

} // namespace stride::shared
