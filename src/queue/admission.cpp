// Admission of jobs.
// Regime: pg.  Syscache look-ups only; no user code.
#include "queue/admission.hpp"

#include "pace/window.hpp"
#include "settings/settings.hpp"
#include "pg/clock.hpp"
#include "queue/queue.hpp"

namespace stride::queue {
namespace {

Admission hold(const char *reason) {
    return Admission{reason, nullptr, 0, false};
}
Admission wait(const char *reason, long ms) {
    return Admission{nullptr, reason, ms, false};
}

} // namespace

const char *owner_refusal(const catalog::Job &job) {
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(job.owner));
    if (!HeapTupleIsValid(tuple)) return psprintf("the owner, role \"%s\", does not exist", job.owner_name);
    const Form_pg_authid role = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple));
    const bool renamed = strcmp(NameStr(role->rolname), job.owner_name) != 0;
    const char *name = pstrdup(NameStr(role->rolname));
    const bool may_login = role->rolcanlogin;
    const bool is_superuser = role->rolsuper;
    ReleaseSysCache(tuple);
    if (renamed) return psprintf("the owner, role \"%s\", is now called \"%s\"", job.owner_name, name);
    if (!may_login) return psprintf("the owner, role \"%s\", is not permitted to log in", name);
    if (is_superuser && !settings::enable_superuser_jobs) return "stride.enable_superuser_jobs is off";
#if PG_VERSION_NUM >= 160000
    const AclResult connect = object_aclcheck(DatabaseRelationId, MyDatabaseId, job.owner, ACL_CONNECT);
#else
    const AclResult connect = pg_database_aclcheck(MyDatabaseId, job.owner, ACL_CONNECT);
#endif
    if (connect != ACLCHECK_OK) return psprintf("the owner, role \"%s\", may not connect to this database", name);
    return nullptr;
}

Admission admit(const catalog::Job &job) {
    if (const char *refusal = owner_refusal(job)) return hold(refusal);
    if (!settings::enabled) return wait("stride.enabled is off", active_wait_ms);
    if (job.has_start_at) {
        const int64 left_us = job.start_at - pg::now();
        if (left_us > 0)
            return wait(psprintf("starts at %s", timestamptz_to_str(job.start_at)),
                        static_cast<long>(Min(left_us / 1000 + 1, static_cast<int64>(idle_wait_ms))));
    }
    const settings::Settings settings = settings::resolve_settings(job.settings, job.session);
    if (const char *closed = pace::outside_window(settings.time_window, pace::zone_of(job.session)))
        return Admission{nullptr, closed, active_wait_ms, true};
    char *reason = nullptr;
    if (!catalog::predecessors_succeeded(job.depends_on, &reason)) return wait(reason, active_wait_ms);
    return Admission{nullptr, nullptr, 0, false};
}

const char *spent(const catalog::Job &job, int64 rows_read) {
    const settings::Settings settings = settings::resolve_settings(job.settings, job.session);
    const int64 ran_s = (pg::now() - job.run_started_at) / USECS_PER_SEC;
    const int64 rows = rows_read - job.run_rows_before;
    if (settings.max_run_time > 0 && ran_s >= settings.max_run_time)
        return psprintf("max_run_time: it ran for %lld s, limit %d s; resume goes on", static_cast<long long>(ran_s),
                        settings.max_run_time);
    if (settings.max_rows > 0 && rows >= settings.max_rows)
        return psprintf("max_rows: it walked %lld rows, limit %d; resume goes on", static_cast<long long>(rows),
                        settings.max_rows);
    return nullptr;
}

} // namespace stride::queue
