// The arithmetic of a progress line: percent, bar, rows a second over a window, time left. Std regime, constexpr over
// trivially copyable types, so that a window may lie in shared memory. Takes no locks; a shared window is guarded by its
// holder. May not read a clock: the caller gives the time, in milliseconds on any steady scale.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

inline constexpr std::size_t bar_cells = 20;
inline constexpr double rate_window_ms = 10000.0;   // how far back the rate looks
inline constexpr double rate_mark_ms = 1000.0;      // the least distance of two marks of the window
inline constexpr std::size_t rate_marks = 11;       // enough to reach back the whole window at that distance
inline constexpr double rate_least_active_ms = 100; // less time at work than this measures nothing

// Done rows in percent of all rows, in [0, 100]. 0 while `total` is unknown (not above 0). `total` is an estimate: 100
// says that it was reached, not that the job is done.
constexpr double percent(long long done, long long total) noexcept {
    if (total <= 0 || done <= 0) return 0;
    return done >= total ? 100 : 100.0 * static_cast<double>(done) / static_cast<double>(total);
}

// Rows a second of time at work: `elapsed_ms` less `throttled_ms`, both in milliseconds. Nothing when too little time at
// work has passed to measure.
constexpr std::optional<double> rate_per_second(long long rows, double elapsed_ms, double throttled_ms) noexcept {
    const double active_ms = elapsed_ms - throttled_ms;
    if (!(active_ms >= rate_least_active_ms)) return std::nullopt;
    return 1000.0 * static_cast<double>(rows) / active_ms;
}

// Seconds left at `rate` rows a second. Nothing while it cannot be known: no total, no rate, or more rows done than the
// estimate says there are.
constexpr std::optional<double> eta_seconds(long long done, long long total, double rate) noexcept {
    if (total <= 0 || done > total) return std::nullopt;
    if (done == total) return 0;
    if (!(rate > 0)) return std::nullopt;
    return static_cast<double>(total - done) / rate;
}

// Draws `percent` as bar_cells cells, '#' for done and '.' for open, and a NUL. A cell is filled when all of it is done,
// so that only 100 fills the bar. Out of [0, 100] is clamped, not a number is 0.
constexpr void bar(double percent, char (&out)[bar_cells + 1]) noexcept {
    constexpr double cell = 100.0 / static_cast<double>(bar_cells);
    for (std::size_t i = 0; i < bar_cells; ++i)
        out[i] = percent >= cell * static_cast<double>(i + 1) ? '#' : '.';
    out[bar_cells] = '\0';
}

// Measures rows a second over about the last rate_window_ms. Fed with running totals; keeps a mark a second or so. With
// chunks longer than the window it measures from the last mark that is at least a window old.
class RateWindow {
public:
    // Adds a measurement: `done` rows and `throttled_ms` milliseconds of throttling since the job began, as of `now_ms`.
    // A value that went back (a new attempt, another clock) starts the window afresh.
    constexpr void sample(double now_ms, long long done, double throttled_ms) noexcept {
        const Mark mark{now_ms, done, throttled_ms};
        if (count_ > 0 && (now_ms < latest_.at_ms || done < latest_.done || throttled_ms < latest_.throttled_ms))
            count_ = 0;
        latest_ = mark;
        if (count_ == 0 || now_ms - marks_[count_ - 1].at_ms >= rate_mark_ms) push(mark);
    }

    // Rows a second between the window's beginning and the latest sample, throttled time left out; nothing until
    // measurable.
    constexpr std::optional<double> per_second() const noexcept {
        if (count_ == 0) return std::nullopt;
        std::size_t base = 0;
        while (base + 1 < count_ && latest_.at_ms - marks_[base + 1].at_ms >= rate_window_ms)
            ++base;
        const Mark &from = marks_[base];
        return rate_per_second(latest_.done - from.done, latest_.at_ms - from.at_ms,
                               latest_.throttled_ms - from.throttled_ms);
    }

private:
    struct Mark {
        double at_ms = 0;
        long long done = 0;
        double throttled_ms = 0;
    };

    constexpr void push(const Mark &mark) noexcept {
        if (count_ == rate_marks) {
            for (std::size_t i = 1; i < count_; ++i)
                marks_[i - 1] = marks_[i];
            --count_;
        }
        marks_[count_++] = mark;
    }

    std::array<Mark, rate_marks> marks_{}; // oldest first
    std::size_t count_ = 0;
    Mark latest_{};
};

static_assert(static_cast<double>(rate_marks - 1) * rate_mark_ms >= rate_window_ms);
static_assert(std::is_trivially_copyable_v<RateWindow> && std::is_trivially_destructible_v<RateWindow>);

} // namespace stride::core
