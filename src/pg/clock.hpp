// The clock that schedules go by, which in DEVEL builds stride.test_clock_offset (ms) shifts so that tests need not
// wait; and the one that durations are measured with.
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

inline instr_time start_clock() {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);
    return now;
}
inline double milliseconds_since(const instr_time &start) {
    instr_time now = start_clock();
    INSTR_TIME_SUBTRACT(now, start);
    return INSTR_TIME_GET_MILLISEC(now);
}

} // namespace stride::pg
