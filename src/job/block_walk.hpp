// What keeps a walk by blocks right: nobody writes its source while it runs. A process of the job's, the keeper
// (process/keeper.hpp), holds SHARE on the source and all tables below it.  Chunks do not: a writer who waits for the
// keeper would keep them out.
// Regime: pg.
#pragma once

#include "analysis/statement.hpp"
#include "catalog/job.hpp"

namespace stride::job {

bool walks_blocks(const catalog::Job &job);

// Of a job that is being prepared: raises 0A000 where it writes the tables that it walks, 42501 where its owner may not
// lock them.
void check_block_source(const analysis::Statement &statement, bool deletes_source);

// For the keeper: locks the source and, if it is named without ONLY, all tables below it in SHARE mode for the
// transaction, without waiting; raises 55P03, and 42501 where its owner may not any more.  Returns those that are there (List of Oid); NIL if the source is gone.
List *lock_tree(const catalog::Job &job);

// For a worker: holds AccessShareLock on the table as a session, from its first chunk until one fails. What waits for the
// keeper, ALTER TABLE say, would else keep the next chunk out, and so wait in vain.
void stay_reader(Oid relation);

// That the keeper has the lock now, and so that nobody has written up to now: what was looked at before, and the active
// snapshot, show the table as it was when the job was planned.  Raises 55006, for another try, if not; returns the
// keeper's cookie.
int64 require_keeper(const catalog::Job &job);

} // namespace stride::job
