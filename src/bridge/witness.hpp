/*
 * witness.hpp: the counter that turns "no longjmp across a C++ object" into a failing test.
 *
 * Regime: both.  Takes no lock; the counter belongs to one backend.  RAII types of the std regime derive from
 * Witnessed and so count themselves; a guard starts a count of its own at zero and compares it when it is left or
 * when an error lands on it; a boundary demands zero at entry.  On in builds with STRIDE_DEVEL or with assertions;
 * elsewhere every function here is empty.
 */
#pragma once

#include "pg/pg.hpp"

namespace stride::bridge {

#if defined(STRIDE_DEVEL) || defined(USE_ASSERT_CHECKING)
inline constexpr bool witness_on = true;
#else
inline constexpr bool witness_on = false;
#endif

/* Live RAII objects since the innermost guard, or since the boundary.  Written by this backend only. */
extern int witness_live;

/* Base of each RAII type of the std regime: counts itself while it lives. */
class Witnessed {
public:
    Witnessed() noexcept {
        if constexpr (witness_on) witness_live++;
    }
    Witnessed(const Witnessed &) noexcept : Witnessed() {}
    Witnessed &operator=(const Witnessed &) noexcept = default;
    ~Witnessed() {
        if constexpr (witness_on) witness_live--;
    }
};

/*
 * Checks at the entry of a boundary that no RAII object is alive, which would mean that an error has jumped over one
 * or that PostgreSQL was called without a guard.  Raises XX000, after setting the counter right; pg regime.
 */
void witness_check_entry();

} // namespace stride::bridge
