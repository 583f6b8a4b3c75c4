// The laws of pacing: a rate that a whole job keeps, a sleep in proportion to the work, a daily window, the lag of a
// standby, the age at which a signal counts as lost. Std regime, constexpr and trivially copyable, so that the states
// may lie in shared memory, guarded by their holder. May not read a clock: the caller gives the time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

inline constexpr double rate_burst_ms = 200.0;    // what an idle job may save up
inline constexpr double signal_lost_ms = 15000.0; // a signal that was not read for so long holds the job
inline constexpr int seconds_per_day = 24 * 60 * 60;

// The sleep after a chunk: `nice` times what it took, in milliseconds.
constexpr double nice_ms(double nice, double work_ms) noexcept {
    return nice > 0 && work_ms > 0 ? nice * work_ms : 0;
}

// True when a signal that was last read `age_ms` ago may no longer be relied on: the unknown holds, it does not let
// pass.
constexpr bool signal_lost(double age_ms) noexcept {
    return !(age_ms <= signal_lost_ms);
}

// A rate kept in the long run.  What a chunk takes is known only afterwards, so that it is paid afterwards: a chunk may
// start when nothing is owed, and what it took is owed until the rate has paid for it.  Several workers share one.
class RateDebt {
public:
    // Milliseconds until nothing is owed at `rate` units a second; 0 = go.  A rate that is not above 0 is no limit.
    constexpr double wait_ms(double now_ms, double rate) noexcept {
        pay(now_ms, rate);
        return rate > 0 && owed_ > 0 ? 1000.0 * owed_ / rate : 0;
    }

    // Owes `amount` more.
    constexpr void take(double now_ms, double rate, double amount) noexcept {
        pay(now_ms, rate);
        if (rate > 0 && amount > 0) owed_ += amount;
    }

private:
    // A clock that went back pays nothing.  Without a rate nothing is owed, and debts of an earlier one are forgotten.
    constexpr void pay(double now_ms, double rate) noexcept {
        const double passed_ms = std::max(0.0, now_ms - at_ms_);
        at_ms_ = now_ms;
        owed_ = rate > 0 ? std::max(owed_ - rate * passed_ms / 1000.0, -rate * rate_burst_ms / 1000.0) : 0;
    }

    double owed_ = 0; // negative: saved up
    double at_ms_ = 0;
};

// The most rows of one chunk under a rate: what it lets pass in a second, so that no chunk is owed for long.
constexpr long long rate_chunk_rows(long long rows, double rate) noexcept {
    if (!(rate > 0) || static_cast<double>(rows) <= rate) return rows;
    return std::max(1LL, static_cast<long long>(rate));
}

// A window of the day, by the clock on the wall.  It may cross midnight.  An hour that a change of clocks skips is
// never inside, one that it repeats is inside twice: what counts is what the clock shows.
struct DailyWindow {
    int opens = 0;  // second of the day
    int closes = 0; // the first second after it; seconds_per_day = midnight

    constexpr bool contains(int second_of_day) const noexcept {
        return opens < closes ? second_of_day >= opens && second_of_day < closes
                              : second_of_day >= opens || second_of_day < closes;
    }
    // Seconds on the clock until it opens; 0 inside.
    constexpr int opens_in(int second_of_day) const noexcept {
        if (contains(second_of_day)) return 0;
        return (opens - second_of_day + seconds_per_day) % seconds_per_day;
    }
};

// The second of the day that the clock shows at `unix_s` where it is `offset_s` ahead of UTC.
constexpr int second_of_day(std::int64_t unix_s, int offset_s) noexcept {
    const std::int64_t local = (unix_s + offset_s) % seconds_per_day;
    return static_cast<int>(local < 0 ? local + seconds_per_day : local);
}

// Reads "HH:MM"; 24:00 only as the end of a window.  Nothing if it is no time of day.
constexpr std::optional<int> parse_time_of_day(std::string_view text, bool is_end) noexcept {
    constexpr auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    if (!digit(text[0]) || !digit(text[1]) || !digit(text[3]) || !digit(text[4])) return std::nullopt;
    const int hour = 10 * (text[0] - '0') + (text[1] - '0');
    const int minute = 10 * (text[3] - '0') + (text[4] - '0');
    if (minute > 59 || hour > 24 || (hour == 24 && (minute != 0 || !is_end))) return std::nullopt;
    return 60 * (60 * hour + minute);
}

// Reads "HH:MM-HH:MM".  Nothing if it is not of that form, or would be open at no time or always.
constexpr std::optional<DailyWindow> parse_daily_window(std::string_view text) noexcept {
    if (text.size() != 11 || text[5] != '-') return std::nullopt;
    const std::optional<int> opens = parse_time_of_day(text.substr(0, 5), false);
    const std::optional<int> closes = parse_time_of_day(text.substr(6), true);
    if (!opens.has_value() || !closes.has_value() || *opens == *closes % seconds_per_day) return std::nullopt;
    return DailyWindow{*opens, *closes};
}

// When the server's log passed which position, so that a standby's position tells how old the oldest change is that it
// has not replayed, also while it replays nothing at all.  Marks are thinned out as they age: half of them are dropped,
// and the distance of new ones doubled, each time they are full.
class LagClock {
public:
    static constexpr std::size_t size = 64;

    // At `now_ms` the log ends at `position`.
    constexpr void mark(double now_ms, std::uint64_t position) noexcept {
        if (count_ > 0 && (now_ms < marks_[count_ - 1].at_ms || position < marks_[count_ - 1].position)) count_ = 0;
        if (count_ > 0 && (position == marks_[count_ - 1].position || now_ms - marks_[count_ - 1].at_ms < apart_ms_))
            return;
        if (count_ == 0) apart_ms_ = 0;
        if (count_ == size) thin_out();
        marks_[count_++] = Mark{now_ms, position};
    }

    // For how long at least the log has been beyond `position`; 0 if it was not seen beyond.
    constexpr double lag_ms(double now_ms, std::uint64_t position) const noexcept {
        for (std::size_t i = 0; i < count_; ++i)
            if (marks_[i].position > position) return std::max(0.0, now_ms - marks_[i].at_ms);
        return 0;
    }

private:
    struct Mark {
        double at_ms = 0;
        std::uint64_t position = 0;
    };

    constexpr void thin_out() noexcept {
        apart_ms_ = 2 * std::max(apart_ms_, (marks_[count_ - 1].at_ms - marks_[0].at_ms) / static_cast<double>(size));
        for (std::size_t i = 1; 2 * i < count_; ++i)
            marks_[i] = marks_[2 * i];
        count_ /= 2;
    }

    std::array<Mark, size> marks_{}; // oldest first
    std::size_t count_ = 0;
    double apart_ms_ = 0; // least distance of two marks
};

static_assert(std::is_trivially_copyable_v<RateDebt> && std::is_trivially_destructible_v<RateDebt>);
static_assert(std::is_trivially_copyable_v<LagClock> && std::is_trivially_destructible_v<LagClock>);

} // namespace stride::core
