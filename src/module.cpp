// The library's entry: settings always, shared memory and the launcher when preloaded.
// Regime: pg.  Without preload the SQL functions exist and say what is missing.
#include "bridge/boundary.hpp"
#include "catalog/settings.hpp"
#include "process/launcher.hpp"
#include "shared/area.hpp"

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
    stride::bridge::boundary([] {
        stride::catalog::define_gucs();
        if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
        stride::shared::install_hooks();
        stride::process::register_launcher();
    });
}

}  // extern "C"
