// Tests percent, bar, time left, and the rate window on a virtual clock.
#define BOOST_TEST_MODULE progress
#include <boost/test/included/unit_test.hpp>

#include <limits>
#include <string>

#include "core/progress.hpp"

using namespace stride::core;

namespace {

std::string drawn(double value) {
    char out[bar_cells + 1];
    bar(value, out);
    return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(percent_is_clamped) {
    BOOST_TEST(percent(0, 100) == 0.0);
    BOOST_TEST(percent(25, 100) == 25.0);
    BOOST_TEST(percent(100, 100) == 100.0);
    BOOST_TEST(percent(150, 100) == 100.0);
    BOOST_TEST(percent(5, 0) == 0.0);
    BOOST_TEST(percent(5, -1) == 0.0);
    BOOST_TEST(percent(-5, 10) == 0.0);
    const long long huge = std::numeric_limits<long long>::max();
    BOOST_TEST(percent(huge / 2, huge) == 50.0);
}

BOOST_AUTO_TEST_CASE(bar_has_20_cells) {
    BOOST_TEST(drawn(0) == "....................");
    BOOST_TEST(drawn(4.9) == "....................");
    BOOST_TEST(drawn(5) == "#...................");
    BOOST_TEST(drawn(52) == "##########..........");
    BOOST_TEST(drawn(99.99) == "###################.");
    BOOST_TEST(drawn(100) == "####################");
    BOOST_TEST(drawn(-7) == "....................");
    BOOST_TEST(drawn(1e9) == "####################");
    BOOST_TEST(drawn(std::numeric_limits<double>::quiet_NaN()) == "....................");
}

BOOST_AUTO_TEST_CASE(eta_is_nothing_until_measurable) {
    BOOST_TEST(eta_seconds(250, 1000, 50).value() == 15.0);
    BOOST_TEST(eta_seconds(1000, 1000, 0).value() == 0.0);
    BOOST_TEST(!eta_seconds(250, 1000, 0).has_value());
    BOOST_TEST(!eta_seconds(250, 1000, -1).has_value());
    BOOST_TEST(!eta_seconds(250, 0, 50).has_value());
    BOOST_TEST(!eta_seconds(1001, 1000, 50).has_value());
    BOOST_TEST(!eta_seconds(1, 2, std::numeric_limits<double>::quiet_NaN()).has_value());
}

BOOST_AUTO_TEST_CASE(rate_leaves_throttled_time_out) {
    BOOST_TEST(rate_per_second(1000, 2000, 0).value() == 500.0);
    BOOST_TEST(rate_per_second(1000, 2000, 1000).value() == 1000.0);
    BOOST_TEST(!rate_per_second(1000, 2000, 2000).has_value());
    BOOST_TEST(!rate_per_second(1000, 2000, 3000).has_value());
    BOOST_TEST(!rate_per_second(0, 0, 0).has_value());
}

BOOST_AUTO_TEST_CASE(a_window_starts_empty) {
    RateWindow window;
    BOOST_TEST(!window.per_second().has_value());
    window.sample(5000, 0, 0);
    BOOST_TEST(!window.per_second().has_value());
    window.sample(5200, 100, 0);
    BOOST_TEST(window.per_second().value() == 500.0);
}

BOOST_AUTO_TEST_CASE(a_window_forgets_what_is_older) {
    // 100 rows a second for a minute, then 1000 a second, sampled 5 times a second.
    RateWindow window;
    double at = 0;
    long long done = 0;
    for (int i = 0; i <= 300; ++i, at += 200, done += 20)
        window.sample(at, done, 0);
    BOOST_TEST(window.per_second().value() == 100.0);
    for (int i = 0; i < 55; ++i, at += 200, done += 200)
        window.sample(at, done, 0);
    BOOST_TEST(window.per_second().value() == 1000.0);
}

BOOST_AUTO_TEST_CASE(a_window_shows_a_standstill) {
    RateWindow window;
    for (int i = 0; i <= 20; ++i)
        window.sample(1000.0 * i, 100LL * i, 0);
    for (int i = 21; i <= 31; ++i)
        window.sample(1000.0 * i, 2000, 0);
    BOOST_TEST(window.per_second().value() == 0.0);
}

BOOST_AUTO_TEST_CASE(a_window_leaves_throttled_time_out) {
    // At work half of the time.
    RateWindow window;
    for (int i = 0; i <= 30; ++i)
        window.sample(1000.0 * i, 100LL * i, 500.0 * i);
    BOOST_TEST(window.per_second().value() == 200.0);
}

BOOST_AUTO_TEST_CASE(samples_farther_apart_than_the_window) {
    RateWindow window;
    for (int i = 0; i < 20; ++i)
        window.sample(30000.0 * i, 3000LL * i, 0);
    BOOST_TEST(window.per_second().value() == 100.0);
    window.sample(30000.0 * 20, 3000LL * 19 + 6000, 0);
    BOOST_TEST(window.per_second().value() == 200.0); // only the last stretch
}

BOOST_AUTO_TEST_CASE(values_that_go_back_start_afresh) {
    RateWindow window;
    window.sample(0, 0, 0);
    window.sample(2000, 1000, 0);
    window.sample(3000, 10, 0); // a new attempt counts anew
    BOOST_TEST(!window.per_second().has_value());
    window.sample(4000, 60, 0);
    BOOST_TEST(window.per_second().value() == 50.0);
    window.sample(1000, 100, 0); // another clock
    BOOST_TEST(!window.per_second().has_value());
}
