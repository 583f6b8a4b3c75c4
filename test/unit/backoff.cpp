// Tests the waits between attempts: doubling, the cap, the jitter's bounds, extreme arguments.
#define BOOST_TEST_MODULE backoff
#include <boost/test/included/unit_test.hpp>

#include <limits>

#include "core/backoff.hpp"

using stride::core::backoff_ms;

BOOST_AUTO_TEST_CASE(doubles_up_to_the_cap) {
    // A draw of one half leaves the wait as it is.
    BOOST_TEST(backoff_ms(1, 100, 5000, 0.5) == 100.0);
    BOOST_TEST(backoff_ms(2, 100, 5000, 0.5) == 200.0);
    BOOST_TEST(backoff_ms(3, 100, 5000, 0.5) == 400.0);
    BOOST_TEST(backoff_ms(6, 100, 5000, 0.5) == 3200.0);
    BOOST_TEST(backoff_ms(7, 100, 5000, 0.5) == 5000.0);
    BOOST_TEST(backoff_ms(8, 100, 5000, 0.5) == 5000.0);
}

BOOST_AUTO_TEST_CASE(jitter_is_an_eighth_to_either_side) {
    BOOST_TEST(backoff_ms(1, 800, 5000, 0.0) == 700.0);
    BOOST_TEST(backoff_ms(1, 800, 5000, 1.0) == 900.0);
    BOOST_TEST(backoff_ms(1, 800, 5000, -3.0) == 700.0);
    BOOST_TEST(backoff_ms(1, 800, 5000, 7.0) == 900.0);
    BOOST_TEST(backoff_ms(50, 800, 8000, 1.0) == 9000.0); // after the cap, so that waiters at the cap are spread too
}

BOOST_AUTO_TEST_CASE(extreme_arguments) {
    BOOST_TEST(backoff_ms(0, 100, 5000, 0.5) == 100.0);
    BOOST_TEST(backoff_ms(std::numeric_limits<int>::min(), 100, 5000, 0.5) == 100.0);
    BOOST_TEST(backoff_ms(std::numeric_limits<int>::max(), 100, 5000, 0.5) == 5000.0);
    BOOST_TEST(backoff_ms(1, 9000, 5000, 0.5) == 5000.0);
    BOOST_TEST(backoff_ms(5, 0, 5000, 0.5) == 0.0);
    BOOST_TEST(backoff_ms(5, -1, 5000, 0.5) == 0.0);
    BOOST_TEST(backoff_ms(5, 100, 0, 0.5) == 0.0);
    BOOST_TEST(backoff_ms(5, std::numeric_limits<double>::quiet_NaN(), 5000, 0.5) == 0.0);
}
