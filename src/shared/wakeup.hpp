// Wake-ups: a generation a database in shared memory, raised when a transaction that submitted or steered a job
// commits.
// Regime: pg.  The commit-time part is noexcept and touches no catalog.  Takes the area's lock.
#pragma once

#include "shared/area.hpp"

namespace stride::shared {

// Asks for a wake-up of this database's scheduler when the current transaction commits; PREPARE TRANSACTION then raises
// 0A000.  A rollback forgets it.
void wake_at_commit();

// Raises the generation of `database` now and wakes its scheduler, or the launcher if it has none.
void wake(Oid database) noexcept;

// The scheduler's side.  become_scheduler is a test-and-set: false when the database already has a scheduler.
bool become_scheduler(Oid database);
uint64 generation(Oid database);
// Clears this process as the database's scheduler if no wake-up came after `seen`; false = look again.
bool retire_scheduler(Oid database, uint64 seen);
// At exit in any other way: clears the pid only, so that the launcher starts another one.
void drop_scheduler(Oid database) noexcept;

// The launcher's side.
struct PendingDatabases {
    int count;
    Oid databases[max_databases];
};
PendingDatabases pending_databases(); // those with a wake-up that nobody handled and no scheduler
bool has_scheduler(Oid database);
void forget_database(Oid database); // dropped or not connectable: frees its slot
bool take_probe_all();

// Cancel flags.  set_cancel_flag is safe where no transaction may be used; false if all flags are taken.
bool set_cancel_flag(Oid database, int64 job_id, Oid session_role, Oid role) noexcept;
bool take_cancel_flag(Oid database, CancelFlag *flag);

} // namespace stride::shared
