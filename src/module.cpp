// The library's entries: settings always, shared memory and the launcher when preloaded; the mains of our processes.
// Regime: pg.  Without preload the SQL functions exist and say what is missing.
#include "api/truncate.hpp"
#include "bridge/boundary.hpp"
#include "settings/settings.hpp"
#include "process/launcher.hpp"
#include "process/scheduler.hpp"
#include "process/worker.hpp"
#include "shared/area.hpp"

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
    stride::bridge::boundary([] {
        stride::settings::define_gucs();
        if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade) return;
        stride::shared::install_hooks();
        stride::api::install_truncate_hook();
        stride::process::register_launcher();
    });
}

// Where the postmaster enters our processes.
PGDLLEXPORT void stride_launcher_main(Datum);
PGDLLEXPORT void stride_scheduler_main(Datum database);
PGDLLEXPORT void stride_worker_main(Datum);

void stride_launcher_main(Datum) {
    stride::bridge::boundary([] { stride::process::launcher_main(); });
}

void stride_scheduler_main(Datum database) {
    stride::bridge::boundary([&] { stride::process::scheduler_main(DatumGetObjectId(database)); });
}

void stride_worker_main(Datum) {
    stride::bridge::boundary([] { stride::process::worker_main(); });
}

} // extern "C"
