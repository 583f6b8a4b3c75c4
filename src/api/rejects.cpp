// retry_rejects: a new job over the rows that another one kept aside.
// Regime: pg.  Locks: one object lock a job until the transaction ends, so that two calls for it see each other.
#include "bridge/boundary.hpp"
#include "catalog/job.hpp"
#include "catalog/reject.hpp"
#include "catalog/request.hpp"
#include "job/block_walk.hpp"
#include "job/stream.hpp"
#include "pipeline/transform.hpp"
#include "shared/wakeup.hpp"

namespace stride::api {
namespace {

constexpr uint16 retry_lock = 4; // beside those of a job's name, statement and count of rejects

// The job that holds the rejects: a retry holds none, its rows stay with the job that rejected them first.
const catalog::Job *holder_of(int64 job_id) {
    const catalog::Job *job = catalog::require_own_job(job_id);
    return job->retry_of != 0 ? catalog::require_own_job(job->retry_of) : job;
}

void require_no_retry(int64 job_id) {
    const long long id = static_cast<long long>(job_id);
    LockDatabaseObject(ExtensionRelationId, static_cast<Oid>(job_id), retry_lock, ExclusiveLock);
    const int64 running = catalog::find_retry(job_id);
    if (running != 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the rejects of job %lld are being retried", id),
                        errdetail("Job %lld does so.", static_cast<long long>(running)),
                        errhint("Wait for it, or SELECT stride.cancel(%lld).", static_cast<long long>(running))));
    if (!catalog::has_rejects(job_id))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("job %lld has no rejects", id),
                        errhint("SELECT job_id, count(*) FROM stride.rejects GROUP BY 1 shows which jobs have some.")));
}

// A row that was mended has moved, and another one may be in its place.
void refuse_places(const catalog::Job &holder) {
    if (!job::walks_blocks(holder)) return;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("the rejects of job %lld cannot be retried", static_cast<long long>(holder.job_id)),
                    errdetail("A walk by blocks knows its rows by their place alone, which an UPDATE changes."),
                    errhint("Write them from stride.rejects.row_data, and then SELECT stride.discard_rejects(%lld).",
                            static_cast<long long>(holder.job_id))));
}

// A stream that begins anew takes back what it has kept aside.
void require_ended_stream(const catalog::Job &holder) {
    if (!job::is_stream(holder) || core::terminal(holder.state)) return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the rejects of job %lld cannot be retried yet", static_cast<long long>(holder.job_id)),
                    errdetail("It walks a stream, which takes its rejects back where it begins anew."),
                    errhint("CALL stride.wait(%lld) first.", static_cast<long long>(holder.job_id))));
}

int64 retry_rejects(int64 job_id) {
    shared::require_preload();
    pg::require_writable("stride.retry_rejects");
    const catalog::Job *holder = holder_of(job_id);
    refuse_places(*holder);
    require_ended_stream(*holder);
    require_no_retry(holder->job_id);
    catalog::Job retry = *holder;
    retry.retry_of = holder->job_id;
    retry.name = nullptr;
    retry.depends_on = nullptr;
    retry.has_start_at = false;
    retry.walk = pstrdup("rejects");
    retry.indexes = pstrdup("keep");
    // A row that fails again stays where it is; all of them were bad before, so that no share of them says anything.
    retry.on_error = pstrdup("skip");
    retry.reject_limit = -1;
    retry.reject_percent = 100;
    if (const char *refusal = pipeline::pin_transform(&retry); refusal != nullptr)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the rejects of job %lld cannot be retried", static_cast<long long>(holder->job_id)),
                        errdetail_internal("%s", refusal), errhint("Create the function as the job knows it.")));
    const int64 retry_id = catalog::insert_job(retry);
    const catalog::Actor by = {GetUserNameFromId(GetSessionUserId(), false), GetUserNameFromId(GetUserId(), false)};
    catalog::append_event(retry_id, by, "submit", nullptr, "queued",
                          psprintf("retries the rejects of job %lld", static_cast<long long>(holder->job_id)));
    shared::wake_at_commit();
    return retry_id;
}

} // namespace
} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_retry_rejects);
PGDLLEXPORT Datum stride_retry_rejects(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        if (PG_ARGISNULL(0))
            ereport(ERROR,
                    (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("job_id must not be null"),
                     errhint("Give the id that stride.submit returned, or find it with stride.job_id('name').")));
        PG_RETURN_INT64(stride::api::retry_rejects(PG_GETARG_INT64(0)));
    });
}

} // extern "C"
