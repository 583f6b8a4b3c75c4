// Tests the cutting of samples into splits for every small size: rising bounds, even shares, no key lost.
#define BOOST_TEST_MODULE split_plan
#include <boost/test/included/unit_test.hpp>

#include <algorithm>
#include <array>
#include <vector>

#include "core/split_plan.hpp"

using namespace stride::core;

BOOST_AUTO_TEST_CASE(no_more_splits_than_gaps) {
    BOOST_TEST(split_count(100, 16) == 16);
    BOOST_TEST(split_count(15, 16) == 16);
    BOOST_TEST(split_count(14, 16) == 15);
    BOOST_TEST(split_count(0, 16) == 1);
    BOOST_TEST(split_count(-3, 16) == 1);
    BOOST_TEST(split_count(100, 0) == 1);
    BOOST_TEST(split_count(100, -5) == 1);
}

BOOST_AUTO_TEST_CASE(small_walks_get_few_splits_and_large_ones_no_more_than_eight_a_worker) {
    BOOST_TEST(wanted_splits(0, 1000, 2) == 4);
    BOOST_TEST(wanted_splits(5000, 1000, 2) == 4);
    BOOST_TEST(wanted_splits(20000, 1000, 2) == 10);
    BOOST_TEST(wanted_splits(1e12, 1000, 2) == 16);
    BOOST_TEST(wanted_splits(20000, 10000000, 1) == 2);
    BOOST_TEST(wanted_splits(300, 1, 3) == 24);
    BOOST_TEST(wanted_splits(300, 0, 0) == 8); // whatever is asked for, one worker and one row a chunk
}

BOOST_AUTO_TEST_CASE(a_known_plan) {
    // 7 keys make 8 gaps: 2 a split.
    std::array<int, 4> bounds{};
    BOOST_TEST(plan_splits(7, 4, bounds) == 4U);
    const std::array<int, 4> expected{1, 3, 5, 7};
    BOOST_TEST(bounds == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(every_plan_covers_the_walk_evenly) {
    for (int samples = 0; samples <= 70; ++samples)
        for (int wanted = 1; wanted <= 40; ++wanted) {
            std::vector<int> bounds(static_cast<std::size_t>(wanted));
            const std::size_t splits = plan_splits(samples, wanted, bounds);
            BOOST_REQUIRE(splits == static_cast<std::size_t>(split_count(samples, wanted)));
            const int least = (samples + 1) / static_cast<int>(splits);
            int lower = -1;
            for (std::size_t i = 0; i < splits; ++i) {
                const int gaps = bounds[i] - lower;
                BOOST_REQUIRE(gaps >= 1);
                BOOST_REQUIRE(gaps >= least);
                BOOST_REQUIRE(gaps <= least + 1);
                lower = bounds[i];
            }
            BOOST_REQUIRE(lower == samples); // the last split ends where the walk ends
        }
}

BOOST_AUTO_TEST_CASE(a_short_buffer_is_filled_and_no_more) {
    std::array<int, 3> bounds{-9, -9, -9};
    BOOST_TEST(plan_splits(7, 4, std::span<int>{bounds}.first(2)) == 2U);
    BOOST_TEST(bounds[1] == 3);
    BOOST_TEST(bounds[2] == -9);
}

BOOST_AUTO_TEST_CASE(large_samples_do_not_overflow) {
    BOOST_TEST(upper_ordinal(2000000000, 1000, 999) == 2000000000);
    BOOST_TEST(upper_ordinal(2000000000, 1000, 499) == 1000000000);
}
