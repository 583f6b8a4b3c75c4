// What the mains of our background processes share: signals, registration, waiting.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

// SIGTERM = die, SIGHUP sets the reload flag, SIGINT cancels the statement that runs; then unblocks signals and reads
// the configuration once, as a SIGHUP between fork and here is lost (reliability R1, R2).
void set_up_signals();

// Reloads the configuration if a SIGHUP came.
void reload_if_asked();

// Waits for the latch or `timeout_ms` (-1 = no limit), processes interrupts, resets the latch, reloads if asked.  True
// when the latch was set.
bool wait_latch(long timeout_ms, uint32 wait_event);

// Fills in what all our workers have in common; `function` is an exported symbol of this library.
BackgroundWorker describe_worker(const char *type, const char *name, const char *function);

} // namespace stride::pg
