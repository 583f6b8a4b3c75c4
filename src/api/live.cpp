// What shared memory knows: live_jobs() and live_workers(), behind the views.
// Regime: pg.  Shows a caller the jobs of roles whose privileges it has; members of pg_monitor see all.
#include "bridge/boundary.hpp"
#include "shared/job_pace.hpp"
#include "shared/worker_slots.hpp"

namespace stride::api {
namespace {

bool may_see(Oid owner) {
    return has_privs_of_role(GetUserId(), owner) || has_privs_of_role(GetUserId(), ROLE_PG_MONITOR);
}

// The workers of this database that the caller may see; *count is set.
shared::WorkerView *visible_workers(int *count) {
    *count = 0;
    if (shared::area == nullptr) return nullptr;
    const TimestampTz now = GetCurrentTimestamp();
    shared::WorkerView *views = static_cast<shared::WorkerView *>(
        palloc(sizeof(shared::WorkerView) * static_cast<Size>(Max(1, shared::area->nworkers))));
    for (int i = 0; i < shared::area->nworkers; i++) {
        shared::WorkerView &view = views[*count];
        if (shared::view_worker(i, now, &view) && view.database == MyDatabaseId && may_see(view.owner)) (*count)++;
    }
    return views;
}

void put(const ReturnSetInfo *result, const Datum *values, const bool *nulls) {
    tuplestore_putvalues(result->setResult, result->setDesc, const_cast<Datum *>(values), const_cast<bool *>(nulls));
}

void live_workers(FunctionCallInfo fcinfo) {
    InitMaterializedSRF(fcinfo, 0);
    int count;
    const shared::WorkerView *views = visible_workers(&count);
    for (int i = 0; i < count; i++) {
        const shared::WorkerView &view = views[i];
        const Datum values[] = {Int64GetDatum(view.job_id),    Int32GetDatum(view.pid),
                                Int32GetDatum(view.worker),    UInt32GetDatum(view.split),
                                UInt32GetDatum(view.chunk),    CStringGetTextDatum(shared::phase_name(view.phase)),
                                Int64GetDatum(view.rows_done), TimestampTzGetDatum(view.since)};
        const bool nulls[lengthof(values)] = {false,           false, false, view.split == 0,
                                              view.chunk == 0, false, false, view.since == 0};
        put(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), values, nulls);
    }
}

// One row a job that has workers: their sum, and the first reason that one of them waits for.
void live_jobs(FunctionCallInfo fcinfo) {
    InitMaterializedSRF(fcinfo, 0);
    int count;
    const shared::WorkerView *views = visible_workers(&count);
    for (int i = 0; i < count; i++) {
        bool first = true;
        double rate = 0;
        bool measurable = false;
        int64 chunk_rows = 0;
        const char *waiting_for = "";
        for (int j = 0; j < count; j++) {
            if (views[j].job_id != views[i].job_id) continue;
            first = first && j >= i;
            measurable = measurable || views[j].rows_per_second >= 0;
            rate += Max(0.0, views[j].rows_per_second);
            chunk_rows = Max(chunk_rows, views[j].chunk_rows);
            if (waiting_for[0] == '\0') waiting_for = views[j].waiting_for;
        }
        if (!first) continue;
        const int wanted = shared::workers_wanted(MyDatabaseId, views[i].job_id);
        const Datum values[] = {Int64GetDatum(views[i].job_id), Float8GetDatum(rate), CStringGetTextDatum(waiting_for),
                                Int64GetDatum(chunk_rows), Int32GetDatum(wanted)};
        const bool nulls[lengthof(values)] = {false, !measurable, waiting_for[0] == '\0', chunk_rows == 0, wanted == 0};
        put(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo), values, nulls);
    }
}

} // namespace
} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_live_workers);
PGDLLEXPORT Datum stride_live_workers(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::live_workers(fcinfo);
        return Datum{0};
    });
}

PG_FUNCTION_INFO_V1(stride_live_jobs);
PGDLLEXPORT Datum stride_live_jobs(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::live_jobs(fcinfo);
        return Datum{0};
    });
}

} // extern "C"
