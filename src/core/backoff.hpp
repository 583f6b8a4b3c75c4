// How long to wait before the next attempt: exponential, capped, with jitter, so that those who failed together do not
// come back together. Std regime, constexpr; takes no locks. May not draw random numbers: the caller gives one, which
// keeps tests exact.
#pragma once

#include "core/no_postgres.hpp"

namespace stride::core {

inline constexpr double backoff_factor = 2.0;   // an attempt
inline constexpr double backoff_jitter = 0.125; // of the wait, to either side (the figure TimescaleDB's scheduler uses)

// The wait in milliseconds before attempt number `attempt` is made again: min(cap_ms, base_ms * 2^(attempt - 1)), times
// a factor in [0.875, 1.125) chosen by `unit_random`, which is uniform in [0, 1). `attempt` counts from 1 (a smaller
// one is taken as 1). The jitter comes after the cap: clipped to the cap, half of the waiters would come back in step.
// So the result may exceed cap_ms by an eighth. Never negative; 0 when base_ms or cap_ms is not above 0.
constexpr double backoff_ms(int attempt, double base_ms, double cap_ms, double unit_random) noexcept {
    if (!(base_ms > 0) || !(cap_ms > 0)) return 0;
    double wait = base_ms;
    for (int i = 1; i < attempt && wait < cap_ms; ++i)
        wait *= backoff_factor;
    if (wait > cap_ms) wait = cap_ms;
    const double unit = unit_random > 0 ? (unit_random < 1 ? unit_random : 1) : 0;
    return wait * (1 - backoff_jitter + 2 * backoff_jitter * unit);
}

} // namespace stride::core
