// Wake-ups and cancel flags.
// Regime: pg.  Every function takes the area's lock for a few instructions; none raises an error while holding it.
#include "shared/wakeup.hpp"

namespace stride::shared {
namespace {

bool wake_wanted = false;
bool callback_registered = false;

DatabaseSlot *find_slot(Oid database) {
    for (DatabaseSlot &slot : area->databases)
        if (slot.database == database) return &slot;
    return nullptr;
}

DatabaseSlot *find_or_take_slot(Oid database) {
    if (DatabaseSlot *slot = find_slot(database)) return slot;
    for (DatabaseSlot &slot : area->databases) {
        const bool idle = slot.scheduler_pid == 0 && slot.generation == slot.handled;
        if (slot.database == InvalidOid || idle) {
            slot = DatabaseSlot{database, 0, 0, 0, nullptr};
            return &slot;
        }
    }
    return nullptr;
}

void at_transaction_end(XactEvent event, void *) {
    switch (event) {
    case XACT_EVENT_COMMIT:
        if (wake_wanted) wake(MyDatabaseId);
        wake_wanted = false;
        break;
    case XACT_EVENT_ABORT:
        wake_wanted = false;
        break;
    case XACT_EVENT_PRE_PREPARE:
        if (wake_wanted)
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("cannot PREPARE a transaction that has submitted or steered a pg_stride job"),
                            errhint("Submit the job in a transaction of its own and COMMIT it.")));
        break;
    default:
        break;
    }
}

} // namespace

void wake_at_commit() {
    require_preload();
    if (!callback_registered) {
        RegisterXactCallback(at_transaction_end, nullptr);
        callback_registered = true;
    }
    wake_wanted = true;
}

void wake(Oid database) noexcept {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    DatabaseSlot *slot = find_or_take_slot(database);
    Latch *latch = area->launcher_latch;
    if (slot == nullptr) {
        area->probe_all = true;
    } else {
        slot->generation++;
        if (slot->scheduler_latch != nullptr) latch = slot->scheduler_latch;
    }
    if (latch != nullptr) SetLatch(latch);
    LWLockRelease(area->lock);
}

bool become_scheduler(Oid database) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    DatabaseSlot *slot = find_or_take_slot(database);
    const bool mine = slot != nullptr && slot->scheduler_pid == 0;
    if (mine) {
        slot->scheduler_pid = MyProcPid;
        slot->scheduler_latch = MyLatch;
    }
    LWLockRelease(area->lock);
    return mine;
}

uint64 generation(Oid database) {
    LWLockAcquire(area->lock, LW_SHARED);
    const DatabaseSlot *slot = find_slot(database);
    const uint64 result = slot == nullptr ? 0 : slot->generation;
    LWLockRelease(area->lock);
    return result;
}

bool retire_scheduler(Oid database, uint64 seen) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    DatabaseSlot *slot = find_slot(database);
    const bool quiet = slot == nullptr || slot->generation == seen;
    if (slot != nullptr && quiet) {
        slot->handled = seen;
        slot->scheduler_pid = 0;
        slot->scheduler_latch = nullptr;
    }
    LWLockRelease(area->lock);
    return quiet;
}

void drop_scheduler(Oid database) noexcept {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    DatabaseSlot *slot = find_slot(database);
    if (slot != nullptr && slot->scheduler_pid == MyProcPid) {
        slot->scheduler_pid = 0;
        slot->scheduler_latch = nullptr;
        if (slot->generation == slot->handled) slot->generation++;
        if (area->launcher_latch != nullptr) SetLatch(area->launcher_latch);
    }
    LWLockRelease(area->lock);
}

PendingDatabases pending_databases() {
    PendingDatabases pending;
    pending.count = 0;
    LWLockAcquire(area->lock, LW_SHARED);
    for (const DatabaseSlot &slot : area->databases)
        if (slot.database != InvalidOid && slot.scheduler_pid == 0 && slot.generation != slot.handled)
            pending.databases[pending.count++] = slot.database;
    LWLockRelease(area->lock);
    return pending;
}

bool has_scheduler(Oid database) {
    LWLockAcquire(area->lock, LW_SHARED);
    const DatabaseSlot *slot = find_slot(database);
    const bool result = slot != nullptr && slot->scheduler_pid != 0;
    LWLockRelease(area->lock);
    return result;
}

void forget_database(Oid database) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    DatabaseSlot *slot = find_slot(database);
    if (slot != nullptr && slot->scheduler_pid == 0) *slot = DatabaseSlot{InvalidOid, 0, 0, 0, nullptr};
    LWLockRelease(area->lock);
}

bool take_probe_all() {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    const bool result = area->probe_all;
    area->probe_all = false;
    LWLockRelease(area->lock);
    return result;
}

bool set_cancel_flag(Oid database, int64 job_id, Oid session_role, Oid role) noexcept {
    bool done = false;
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (CancelFlag &flag : area->cancel_flags) {
        if (flag.database != InvalidOid) continue;
        flag = CancelFlag{database, job_id, session_role, role};
        done = true;
        break;
    }
    LWLockRelease(area->lock);
    if (done) wake(database);
    return done;
}

bool take_cancel_flag(Oid database, CancelFlag *taken) {
    bool found = false;
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    for (CancelFlag &flag : area->cancel_flags) {
        if (flag.database != database) continue;
        *taken = flag;
        flag.database = InvalidOid;
        found = true;
        break;
    }
    LWLockRelease(area->lock);
    return found;
}

} // namespace stride::shared
