// Transactions of our own processes: always READ COMMITTED and writable, whatever the role's defaults say.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

inline void begin_transaction() {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    XactIsoLevel = XACT_READ_COMMITTED;
    XactReadOnly = false;
    XactDeferrable = false;
}

// Commits and lets the statistics know.
inline void commit_transaction() {
    CommitTransactionCommand();
    pgstat_report_stat(false);
}

} // namespace stride::pg
