// The statement sink: one executor run.
// Regime: pg.
#include "sink/statement.hpp"

#include "sink/feed.hpp"

namespace stride::sink {

Written run_statement(PlannedStmt *plan, const char *sql, QueryEnvironment *environment, bool keeps_last,
                      PhaseTimes *times) {
    add_feed(plan, keeps_last);
    // PortalRunMulti does the same for a statement outside a portal of its own; here the snapshot must be the one under
    // which the chunk's end was found, so the executor is called directly.
    QueryDesc *query =
        CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, None_Receiver, nullptr, environment, 0);
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
    const Fed fed = fed_rows(query, processed);
    ExecutorEnd(query);
    FreeQueryDesc(query);
    CommandCounterIncrement();
    return Written{processed, fed.rows - processed, fed.dropped};
}

} // namespace stride::sink
