/*
 * guarded.cpp: the one landing place for PostgreSQL errors, and the witness's judgement there.
 *
 * Regime: pg; no non-trivial local.  Takes no lock.  Nothing else in pg_stride calls sigsetjmp, but for take_error().
 */
#include "bridge/error_data.hpp"
#include "bridge/guarded.hpp"

namespace stride::bridge {

constinit int witness_live = 0;

namespace {

/* Replaces an error that has jumped over C++ objects by one that says so.  Raises; runs inside a guard of its own. */
void report_skipped(void *skipped) {
    ereport(
        ERROR, errcode(ERRCODE_INTERNAL_ERROR),
        errmsg("an error has skipped the destructors of %d C++ objects inside a guard", *static_cast<int *>(skipped)),
        errhint("Move the objects out of the guarded function, around the guard."));
}

/* At the end of a guard: sets the outer count again and returns how many objects the guard has left behind. */
int witness_close(int outer) noexcept {
    const int left = witness_live;
    witness_live = outer;
    return witness_on ? left : 0;
}

} // namespace

void witness_check_entry() {
    if (!witness_on || witness_live == 0) return;
    const int live = witness_live;
    witness_live = 0;
    ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("%d C++ objects are alive at the entry of a boundary", live),
            errhint("An earlier error has skipped their destructors, or PostgreSQL was called without a guard."));
}

/*
 * The landing.  The locals are set before sigsetjmp and never after, so they need no volatile.  A C++ exception of the
 * step passes through after PostgreSQL's stacks were put back.
 */
[[gnu::noinline]] Landing run_guarded(void (*step)(void *), void *argument) {
    sigjmp_buf here;
    sigjmp_buf *const outer_handler = PG_exception_stack;
    ErrorContextCallback *const outer_context = error_context_stack;
    const MemoryContext memory = CurrentMemoryContext;
    const uint32 interrupt_holdoff = InterruptHoldoffCount;
    const uint32 cancel_holdoff = QueryCancelHoldoffCount;
    const int outer_live = witness_live;

    witness_live = 0;
    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        try {
            step(argument);
        } catch (...) {
            PG_exception_stack = outer_handler;
            error_context_stack = outer_context;
            MemoryContextSwitchTo(memory);
            witness_live += outer_live; /* what still counts is the exception in flight */
            throw;
        }
        PG_exception_stack = outer_handler;
        error_context_stack = outer_context;
        int left = witness_close(outer_live);
        if (left != 0) return run_guarded(report_skipped, &left);
        return {false, nullptr};
    }

    PG_exception_stack = outer_handler;
    error_context_stack = outer_context;
    MemoryContextSwitchTo(memory);
    ErrorBlock *const block = take_error();
    InterruptHoldoffCount = interrupt_holdoff;
    QueryCancelHoldoffCount = cancel_holdoff;
    int skipped = witness_close(outer_live);
    if (skipped != 0) {
        release_error(block);
        return run_guarded(report_skipped, &skipped);
    }
    return {true, block};
}

} // namespace stride::bridge
