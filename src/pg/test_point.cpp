// Named test points; empty in a release build.
// Regime: pg.  A waiting point processes interrupts and configuration reloads.
#include <csignal>

#include "pg/clock.hpp"
#include "pg/test_point.hpp"

#ifdef STRIDE_DEVEL

namespace stride::pg {

constinit char *test_point_setting = nullptr;
constinit int test_clock_offset_ms = 0;

namespace {

constexpr long poll_ms = 20;
constinit int64 current_job = 0;

// The action asked for at `name` for this job, or nullptr.
const char *action_at(const char *name) {
    static char buffer[128];
    if (test_point_setting == nullptr || test_point_setting[0] == '\0') return nullptr;
    strlcpy(buffer, test_point_setting, sizeof(buffer));
    char *action = strchr(buffer, ':');
    if (action == nullptr) return nullptr;
    *action++ = '\0';
    if (strcmp(buffer, name) != 0) return nullptr;
    char *job = strchr(action, ':');
    if (job != nullptr) {
        *job++ = '\0';
        if (strtoll(job, nullptr, 10) != current_job) return nullptr;
    }
    return action;
}

void before_local_commit(XactEvent event, void *) {
    if (event == XACT_EVENT_PRE_COMMIT) test_point("after_foreign_commit");
}

} // namespace

void set_test_point_job(int64 job_id) {
    current_job = job_id;
    // Callbacks are called in the reverse of the order in which they came: foreign servers, which are not used yet,
    // will have committed before.
    RegisterXactCallback(before_local_commit, nullptr);
}

void test_point(const char *name) {
    const char *action = action_at(name);
    if (action == nullptr) return;
    if (strcmp(action, "crash") == 0) (void)kill(MyProcPid, SIGKILL);
    if (strcmp(action, "error") == 0) ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("test point %s", name)));
    while (action != nullptr && strcmp(action, "wait") == 0) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, poll_ms, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
        action = action_at(name);
    }
}

} // namespace stride::pg

#endif
