// The launcher's registration and main; see launcher.cpp.
// Regime: pg.
#pragma once

namespace stride::process {

// Registers the static worker; from _PG_init.
void register_launcher();
void launcher_main();

} // namespace stride::process
