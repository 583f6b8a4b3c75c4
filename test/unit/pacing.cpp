// Tests the laws of pacing on a virtual clock: rates kept by several workers, windows across midnight and across changes
// of clocks, the lag of a standby that stands still.
#define BOOST_TEST_MODULE pacing
#include <boost/test/included/unit_test.hpp>

#include <cstdint>
#include <initializer_list>

#include "core/pacing.hpp"

using namespace stride::core;

namespace {

constexpr std::int64_t hour = 3600;

// Central Europe in 2025: summer time from 30 March 01:00 UTC to 26 October 01:00 UTC.
constexpr std::int64_t spring = 1743296400;
constexpr std::int64_t autumn = 1761440400;
int offset_in_berlin(std::int64_t unix_s) {
    return unix_s >= spring && unix_s < autumn ? 2 * 3600 : 3600;
}

// Minutes that the window is open in the 24 hours from `from` on.
int open_minutes(const DailyWindow &window, std::int64_t from) {
    int minutes = 0;
    for (std::int64_t t = from; t < from + 24 * hour; t += 60)
        minutes += window.contains(second_of_day(t, offset_in_berlin(t))) ? 1 : 0;
    return minutes;
}

DailyWindow window_of(std::string_view text) {
    const std::optional<DailyWindow> window = parse_daily_window(text);
    BOOST_REQUIRE(window.has_value());
    return *window;
}

} // namespace

BOOST_AUTO_TEST_CASE(nice_sleeps_in_proportion) {
    BOOST_TEST(nice_ms(0.5, 200) == 100);
    BOOST_TEST(nice_ms(0, 200) == 0);
    BOOST_TEST(nice_ms(-1, 200) == 0);
}

BOOST_AUTO_TEST_CASE(a_rate_is_kept_by_all_workers_together) {
    // Three workers, chunks of 100 rows that take no time, 1000 rows a second, 60 s.
    RateDebt debt;
    int rows = 0;
    for (double now = 0; now < 60000; now += 1) {
        for (int worker = 0; worker < 3; worker++) {
            if (debt.wait_ms(now, 1000) > 0) continue;
            debt.take(now, 1000, 100);
            rows += 100;
        }
    }
    BOOST_TEST(rows > 59000);
    BOOST_TEST(rows <= 60000 + 200 + 100); // the burst, and the last chunk that is not paid yet
}

BOOST_AUTO_TEST_CASE(what_is_owed_is_waited_for) {
    RateDebt debt;
    BOOST_TEST(debt.wait_ms(1000, 100) == 0);
    debt.take(1000, 100, 70);              // 20 were saved up
    BOOST_TEST(debt.wait_ms(1000, 100) == 500);
    BOOST_TEST(debt.wait_ms(1300, 100) == 200);
    BOOST_TEST(debt.wait_ms(1300, 200) == 100); // altered
    BOOST_TEST(debt.wait_ms(1200, 200) == 100); // a clock that goes back pays nothing
    BOOST_TEST(debt.wait_ms(1300, 0) == 0);     // no limit any more, and the debt is gone
    BOOST_TEST(debt.wait_ms(1300, 100) == 0);
}

BOOST_AUTO_TEST_CASE(an_idle_job_saves_up_a_burst_only) {
    RateDebt debt;
    debt.take(0, 1000, 1);
    debt.take(3600000, 1000, 1200);
    BOOST_TEST(debt.wait_ms(3600000, 1000) == 1000);
}

BOOST_AUTO_TEST_CASE(a_chunk_is_at_most_a_second_of_the_rate) {
    BOOST_TEST(rate_chunk_rows(5000, 1000) == 1000);
    BOOST_TEST(rate_chunk_rows(500, 1000) == 500);
    BOOST_TEST(rate_chunk_rows(5000, 0) == 5000);
    BOOST_TEST(rate_chunk_rows(5000, 0.5) == 1);
}

BOOST_AUTO_TEST_CASE(signals_are_lost_after_a_while) {
    BOOST_TEST(!signal_lost(0));
    BOOST_TEST(!signal_lost(15000));
    BOOST_TEST(signal_lost(15001));
}

BOOST_AUTO_TEST_CASE(windows_are_read) {
    BOOST_TEST(window_of("08:30-17:00").opens == 8 * 3600 + 1800);
    BOOST_TEST(window_of("08:30-17:00").closes == 17 * 3600);
    for (const char *bad : {"", "8:30-17:00", "08:30", "08:30-17:0", "08:30-17:000", "24:00-06:00", "08:60-17:00", "25:00-26:00",
                            "08:30 17:00", "0x:00-01:00", "-1:00-02:00", "08:30-08:30", "00:00-24:00", "22:00-24:01"})
        BOOST_TEST(!parse_daily_window(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(a_window_of_the_day) {
    const DailyWindow window = window_of("08:30-17:00");
    BOOST_TEST(!window.contains(8 * 3600 + 1799));
    BOOST_TEST(window.contains(8 * 3600 + 1800));
    BOOST_TEST(window.contains(17 * 3600 - 1));
    BOOST_TEST(!window.contains(17 * 3600));
    BOOST_TEST(window.opens_in(8 * 3600) == 1800);
    BOOST_TEST(window.opens_in(18 * 3600) == 14 * 3600 + 1800);
    BOOST_TEST(window.opens_in(12 * 3600) == 0);
}

BOOST_AUTO_TEST_CASE(a_window_across_midnight) {
    const DailyWindow window = window_of("22:00-06:00");
    BOOST_TEST(window.contains(22 * 3600));
    BOOST_TEST(window.contains(0));
    BOOST_TEST(window.contains(6 * 3600 - 1));
    BOOST_TEST(!window.contains(6 * 3600));
    BOOST_TEST(window.opens_in(12 * 3600) == 10 * 3600);
    BOOST_TEST(window_of("22:00-24:00").contains(seconds_per_day - 1));
    BOOST_TEST(!window_of("22:00-24:00").contains(0));
}

BOOST_AUTO_TEST_CASE(the_second_of_the_day_is_never_negative) {
    BOOST_TEST(second_of_day(0, 0) == 0);
    BOOST_TEST(second_of_day(0, -5 * 3600) == 19 * 3600);
    BOOST_TEST(second_of_day(-1, 0) == seconds_per_day - 1);
    BOOST_TEST(second_of_day(spring, offset_in_berlin(spring)) == 3 * 3600);
    BOOST_TEST(second_of_day(spring - 1, offset_in_berlin(spring - 1)) == 2 * 3600 - 1);
}

BOOST_AUTO_TEST_CASE(changes_of_clocks) {
    const std::int64_t night_of_spring = spring - 13 * hour; // noon to noon, by the clock of the evening before
    const std::int64_t night_of_autumn = autumn - 13 * hour;
    const std::int64_t common_night = night_of_spring - 24 * hour;
    const DailyWindow night = window_of("22:00-06:00");
    BOOST_TEST(open_minutes(night, common_night) == 8 * 60);
    BOOST_TEST(open_minutes(night, night_of_spring) == 7 * 60); // 02:00 to 03:00 is skipped
    BOOST_TEST(open_minutes(night, night_of_autumn) == 9 * 60); // and repeated
    BOOST_TEST(open_minutes(window_of("02:15-02:45"), night_of_spring) == 0);
    BOOST_TEST(open_minutes(window_of("02:15-02:45"), night_of_autumn) == 60);
    BOOST_TEST(open_minutes(window_of("02:30-04:00"), night_of_spring) == 60);
}

BOOST_AUTO_TEST_CASE(the_lag_of_a_standby_that_stands_still_grows) {
    LagClock clock;
    for (int s = 0; s <= 30; s++)
        clock.mark(1000.0 * s, 100 * static_cast<std::uint64_t>(s));
    BOOST_TEST(clock.lag_ms(30000, 3000) == 0);
    BOOST_TEST(clock.lag_ms(30000, 2000) == 9000); // position 2100 was passed 9 s ago
    BOOST_TEST(clock.lag_ms(40000, 2000) == 19000);
    BOOST_TEST(clock.lag_ms(40000, 3000) == 0);
}

BOOST_AUTO_TEST_CASE(a_log_that_stands_still_makes_no_lag) {
    LagClock clock;
    for (int s = 0; s <= 1000; s++)
        clock.mark(1000.0 * s, 100);
    BOOST_TEST(clock.lag_ms(1000000, 100) == 0);
    clock.mark(1001000, 200);
    BOOST_TEST(clock.lag_ms(1003000, 100) == 2000);
}

BOOST_AUTO_TEST_CASE(marks_reach_back_for_long) {
    // A day of a mark a second: the lag is still known to a few percent of the time looked back.
    LagClock clock;
    for (int s = 0; s < seconds_per_day; s++)
        clock.mark(1000.0 * s, static_cast<std::uint64_t>(s));
    const double now = 1000.0 * seconds_per_day;
    const double lag = clock.lag_ms(now, seconds_per_day / 2);
    BOOST_TEST(lag > 0.9 * now / 2);
    BOOST_TEST(lag <= now / 2);
}

BOOST_AUTO_TEST_CASE(a_new_log_starts_afresh) {
    LagClock clock;
    clock.mark(0, 1000);
    clock.mark(1000, 2000);
    clock.mark(2000, 50);
    BOOST_TEST(clock.lag_ms(5000, 40) == 3000);
    BOOST_TEST(clock.lag_ms(5000, 50) == 0);
}
