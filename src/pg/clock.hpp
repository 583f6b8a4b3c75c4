// The clock that schedules go by.  In DEVEL builds stride.test_clock_offset (ms) shifts it, so that tests need not wait.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

#ifdef STRIDE_DEVEL
extern int test_clock_offset_ms;
inline TimestampTz now() {
    return GetCurrentTimestamp() + static_cast<int64>(test_clock_offset_ms) * 1000;
}
#else
inline TimestampTz now() {
    return GetCurrentTimestamp();
}
#endif

} // namespace stride::pg
