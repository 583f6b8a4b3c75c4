// Tests the limits of rejects and the breaker, at each side of each threshold.
#define BOOST_TEST_MODULE reject_limits
#include <boost/test/included/unit_test.hpp>

#include "core/reject_limits.hpp"

using stride::core::judge_rejects;
using stride::core::RejectLimits;
using Verdict = stride::core::RejectVerdict;

BOOST_AUTO_TEST_CASE(a_limit_in_rows) {
    BOOST_CHECK(judge_rejects({.rows = 0}, 500, 1) == Verdict::over_rows);
    BOOST_CHECK(judge_rejects({.rows = 10}, 500, 10) == Verdict::within);
    BOOST_CHECK(judge_rejects({.rows = 10}, 500, 11) == Verdict::over_rows);
}

BOOST_AUTO_TEST_CASE(a_limit_in_percent) {
    BOOST_CHECK(judge_rejects({.percent = 1}, 1, 1) == Verdict::within);
    BOOST_CHECK(judge_rejects({.percent = 1}, 20, 10) == Verdict::within);
    BOOST_CHECK(judge_rejects({.percent = 1}, 20, 11) == Verdict::over_percent);
    BOOST_CHECK(judge_rejects({.percent = 1}, 100000, 1000) == Verdict::within);
    BOOST_CHECK(judge_rejects({.percent = 1}, 100000, 1001) == Verdict::over_percent);
    BOOST_CHECK(judge_rejects({.percent = 0}, 100000, 1) == Verdict::over_percent);
    BOOST_CHECK(judge_rejects({.percent = 0.5}, 1000, 5) == Verdict::within);
    BOOST_CHECK(judge_rejects({.rows = 3, .percent = 100}, 10, 4) == Verdict::over_rows);
}

BOOST_AUTO_TEST_CASE(the_breaker) {
    BOOST_CHECK(judge_rejects({}, 299, 299) == Verdict::within);
    BOOST_CHECK(judge_rejects({}, 300, 300) == Verdict::all_bad);
    BOOST_CHECK(judge_rejects({}, 300, 299) == Verdict::within);
    BOOST_CHECK(judge_rejects({}, 999, 900) == Verdict::within);
    BOOST_CHECK(judge_rejects({}, 1000, 500) == Verdict::within);
    BOOST_CHECK(judge_rejects({}, 1000, 501) == Verdict::mostly_bad);
    BOOST_CHECK(judge_rejects({.rows = 1000000}, 300, 300) == Verdict::all_bad);
    // A percentage takes the breaker's place.
    BOOST_CHECK(judge_rejects({.percent = 100}, 100000, 100000) == Verdict::within);
}
