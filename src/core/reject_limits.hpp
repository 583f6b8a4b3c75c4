// When a job that skips bad rows has skipped enough: its own limits, and a breaker for statements that are wrong for
// every row.  Std regime, constexpr.  Takes no locks; the caller counts, for the whole job.
#pragma once

#include <algorithm>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

struct RejectLimits {
    long long rows = -1; // reject_limit; negative = none
    double percent = -1; // reject_percent; negative = none, and the breaker takes its place
};

enum class RejectVerdict { within, over_rows, over_percent, all_bad, mostly_bad };

inline constexpr long long all_bad_rows = 300;     // judged, every one of them bad: the breaker trips
inline constexpr long long mostly_bad_rows = 1000; // judged at least, over half of them bad: the breaker trips

// Judges `rejected` rows out of `judged` (rejected ones included).  Of a percentage the first 1,000 rows count as
// 1,000, so that a bad row at the very start does not stop a job that allows 1 %.
constexpr RejectVerdict judge_rejects(const RejectLimits &limits, long long judged, long long rejected) noexcept {
    if (limits.rows >= 0 && rejected > limits.rows) return RejectVerdict::over_rows;
    if (limits.percent >= 0) {
        const double of = static_cast<double>(std::max(judged, mostly_bad_rows));
        return static_cast<double>(rejected) * 100 > limits.percent * of ? RejectVerdict::over_percent
                                                                         : RejectVerdict::within;
    }
    if (judged >= all_bad_rows && rejected >= judged) return RejectVerdict::all_bad;
    if (judged >= mostly_bad_rows && rejected > judged / 2) return RejectVerdict::mostly_bad;
    return RejectVerdict::within;
}

static_assert(std::is_trivially_copyable_v<RejectLimits>);

} // namespace stride::core
