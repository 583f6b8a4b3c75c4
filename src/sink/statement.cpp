// The statement sink: one executor run.
// Regime: pg.
#include "sink/statement.hpp"

namespace stride::sink {

uint64 run_statement(PlannedStmt *plan, const char *sql, PhaseTimes *times) {
    // PortalRunMulti does the same for a statement outside a portal of its own; here the snapshot must be the one under
    // which the chunk's end was found, so the executor is called directly.
    QueryDesc *query =
        CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, None_Receiver, nullptr, nullptr, 0);
    ExecutorStart(query, 0);
    const PhaseClock *clock = start_phase_clock(query);
#if PG_VERSION_NUM >= 180000
    ExecutorRun(query, ForwardScanDirection, 0);
#else
    ExecutorRun(query, ForwardScanDirection, 0, true);
#endif
    ExecutorFinish(query);
    *times = read_phase_clock(clock);
    const uint64 processed = query->estate->es_processed;
    ExecutorEnd(query);
    FreeQueryDesc(query);
    CommandCounterIncrement();
    return processed;
}

} // namespace stride::sink
