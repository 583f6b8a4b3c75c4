// Where the postmaster enters our processes.
// Regime: pg.
#include "bridge/boundary.hpp"
#include "process/launcher.hpp"
#include "process/scheduler.hpp"
#include "process/worker.hpp"

extern "C" {

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

}  // extern "C"
