// The timer behind the time limit.
// Regime: pg.  The handler runs in a signal handler: it sets flags and the latch.
#include <csignal>

#include "pg/time_limit.hpp"

namespace stride::pg {
namespace {

constinit TimeoutId timer = MAX_TIMEOUTS;
constinit volatile sig_atomic_t hit = 0;

void cancel_work() {
    hit = 1;
    QueryCancelPending = true;
    InterruptPending = true;
    SetLatch(MyLatch);
}

} // namespace

void prepare_time_limit() {
    timer = RegisterTimeout(USER_TIMEOUT, cancel_work);
}

void start_time_limit(int ms) {
    hit = 0;
    if (ms > 0) enable_timeout_after(timer, ms);
}

void end_time_limit() {
    disable_timeout(timer, false);
    if (hit != 0) QueryCancelPending = false;
}

bool time_limit_hit() {
    return hit != 0;
}

} // namespace stride::pg
