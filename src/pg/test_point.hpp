// Named test points, in DEVEL builds only: STRIDE_TEST_POINT("before_commit") does what the setting
// stride.test_point = 'before_commit:crash' asks for at that place ("crash" ends the process by SIGKILL, "error" raises
// one, "wait" waits until the setting names another point); a third part limits it to one job: 'before_commit:wait:42'.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

#ifdef STRIDE_DEVEL
extern char *test_point_setting; // the GUC stride.test_point

// The job that this process works for; 0 in a process without one.
void set_test_point_job(int64 job_id);
void test_point(const char *name);
#define STRIDE_TEST_POINT(name) ::stride::pg::test_point(name)
#else
#define STRIDE_TEST_POINT(name) static_cast<void>(0)
#endif

} // namespace stride::pg
