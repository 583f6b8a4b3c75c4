// Tests the law of the chunk size against simulated jobs: steady, with a fixed cost a chunk, slow, suddenly slow.
#define BOOST_TEST_MODULE chunk_sizer
#include <boost/test/included/unit_test.hpp>

#include <limits>

#include "core/chunk_sizer.hpp"

using stride::core::ChunkSizer;

namespace {

constexpr double target = 200.0;

// Runs `chunks` chunks that cost `fixed_ms` and `us_per_row` microseconds a row; returns the milliseconds they took.
double run(ChunkSizer &sizer, int chunks, double us_per_row, double fixed_ms = 0) {
    double total = 0;
    for (int i = 0; i < chunks; ++i) {
        const double ms = fixed_ms + static_cast<double>(sizer.rows()) * us_per_row / 1000;
        sizer.record(sizer.rows(), ms);
        total += ms;
    }
    return total;
}

} // namespace

BOOST_AUTO_TEST_CASE(a_fixed_size_stays) {
    ChunkSizer sizer{37, target};
    BOOST_TEST(sizer.rows() == 37);
    run(sizer, 30, 1);
    sizer.record(37, 100000);
    BOOST_TEST(sizer.rows() == 37);
    BOOST_TEST((ChunkSizer{5000000, target}.rows()) == 5000000); // the user's word, above the adaptive ceiling
}

BOOST_AUTO_TEST_CASE(an_adaptive_job_starts_at_1000) {
    BOOST_TEST((ChunkSizer{0, target}.rows()) == 1000);
    BOOST_TEST(ChunkSizer{}.rows() == 1000);
    BOOST_TEST((ChunkSizer{-1, target}.rows()) == 1000);
}

BOOST_AUTO_TEST_CASE(a_fast_job_reaches_its_stable_size_quickly) {
    // 1 us a row would fill the target with 200000 rows: the ceiling. 1000 doubled 7 times is past it.
    ChunkSizer sizer{0, target};
    const double ms = run(sizer, 7, 1);
    BOOST_TEST(sizer.rows() == ChunkSizer::most_rows);
    BOOST_TEST(ms < 150);
    run(sizer, 100, 1);
    BOOST_TEST(sizer.rows() == ChunkSizer::most_rows);
}

BOOST_AUTO_TEST_CASE(a_common_job_settles_at_the_target) {
    // 10 us a row: 20000 rows. The ramp ends at 16000 (160 ms), the law goes on with the tenth sample.
    ChunkSizer sizer{0, target};
    run(sizer, 9, 10);
    BOOST_TEST(sizer.rows() == 16000);
    run(sizer, 1, 10);
    BOOST_TEST(sizer.rows() == 20000);
    for (int i = 0; i < 50; ++i) {
        run(sizer, 1, 10);
        BOOST_TEST(sizer.rows() == 20000);
    }
}

BOOST_AUTO_TEST_CASE(a_fixed_cost_a_chunk_is_learned) {
    // 20 ms + 10 us a row: 18000 rows make 200 ms.
    ChunkSizer sizer{0, target};
    run(sizer, 60, 10, 20);
    BOOST_TEST(sizer.rows() > 17900);
    BOOST_TEST(sizer.rows() < 18100);
    BOOST_TEST(sizer.fixed_cost_ms() > 19.9);
    BOOST_TEST(sizer.fixed_cost_ms() < 20.1);
}

BOOST_AUTO_TEST_CASE(a_large_fixed_cost_grows_the_chunk) {
    // 500 ms a chunk, such as a hash table built anew, and 10 us a row: half of the time for the rows is 50000 of them.
    // Without the fixed cost told apart, the size would fall to 100 rows, and the job would take 5 ms a row.
    ChunkSizer sizer{0, target};
    run(sizer, 40, 10, 500);
    BOOST_TEST(sizer.rows() > 49000);
    BOOST_TEST(sizer.rows() < 51000);
}

BOOST_AUTO_TEST_CASE(a_fixed_cost_above_the_slow_limit_grows_the_chunk) {
    ChunkSizer sizer{0, target};
    run(sizer, 1, 10, 1500);
    BOOST_TEST(sizer.rows() == 100); // it may have been the rows
    run(sizer, 20, 10, 1500);
    BOOST_TEST(sizer.rows() == ChunkSizer::most_rows);
}

BOOST_AUTO_TEST_CASE(a_fixed_cost_that_goes_away_is_forgotten) {
    ChunkSizer sizer{0, target};
    run(sizer, 40, 10, 500);
    run(sizer, 40, 10);
    BOOST_TEST(sizer.rows() > 19000);
    BOOST_TEST(sizer.rows() < 21000);
}

BOOST_AUTO_TEST_CASE(the_ramp_stops_at_half_the_target) {
    ChunkSizer sizer{0, target};
    sizer.record(1000, 99);
    BOOST_TEST(sizer.rows() == 2000);
    sizer.record(2000, 198);
    BOOST_TEST(sizer.rows() == 2000);
}

BOOST_AUTO_TEST_CASE(a_slow_job_shrinks_by_the_law_at_the_tenth_sample) {
    // 0.5 ms a row: 400 rows.
    ChunkSizer sizer{0, target};
    run(sizer, 9, 500);
    BOOST_TEST(sizer.rows() == 1000);
    run(sizer, 1, 500);
    BOOST_TEST(sizer.rows() == 400);
}

BOOST_AUTO_TEST_CASE(a_sudden_slow_down_shrinks_at_once) {
    ChunkSizer sizer{0, target};
    run(sizer, 30, 10);
    BOOST_REQUIRE(sizer.rows() == 20000);
    run(sizer, 1, 100); // 10 times slower: 2000 ms
    BOOST_TEST(sizer.rows() == 2000);
    run(sizer, 30, 100); // and stays so: 200 ms
    BOOST_TEST(sizer.rows() == 2000);
}

BOOST_AUTO_TEST_CASE(a_slow_down_clears_the_history) {
    ChunkSizer sizer{0, target};
    run(sizer, 30, 10);
    sizer.record(20000, 5 * target + 1);
    BOOST_REQUIRE(sizer.rows() == 2000);
    // It was a single wait: the ramp comes back, which only an empty history allows.
    run(sizer, 1, 10);
    BOOST_TEST(sizer.rows() == 4000);
    run(sizer, 20, 10);
    BOOST_TEST(sizer.rows() == 20000);
}

BOOST_AUTO_TEST_CASE(five_times_the_target_is_not_over_it) {
    ChunkSizer sizer{0, target};
    sizer.record(1000, 5 * target);
    BOOST_TEST(sizer.rows() == 1000);
    sizer.record(1000, 5 * target + 1);
    BOOST_TEST(sizer.rows() == 100);
}

BOOST_AUTO_TEST_CASE(slow_rows_shrink_it_to_the_floor_and_no_further) {
    ChunkSizer sizer{0, target};
    sizer.record(1000, 11000);
    BOOST_TEST(sizer.rows() == ChunkSizer::least_rows);
    sizer.record(100, 1100);
    BOOST_TEST(sizer.rows() == ChunkSizer::least_rows);
}

BOOST_AUTO_TEST_CASE(chunks_of_the_old_size_do_not_shrink_it_twice) {
    ChunkSizer sizer{0, target};
    run(sizer, 30, 10);
    for (int worker = 0; worker < 4; ++worker)
        sizer.record(20000, 2000);
    BOOST_TEST(sizer.rows() == 2000);
}

BOOST_AUTO_TEST_CASE(one_outlier_in_ten_does_not_count) {
    ChunkSizer sizer{0, target};
    run(sizer, 30, 10);
    sizer.record(20000, 900);
    BOOST_TEST(sizer.rows() == 20000);
    sizer.record(20000, 900); // a second one is p90
    BOOST_TEST(sizer.rows() == 4444);
}

BOOST_AUTO_TEST_CASE(a_step_grows_by_half_at_most) {
    ChunkSizer sizer{0, target};
    run(sizer, 10, 500);
    BOOST_REQUIRE(sizer.rows() == 400);
    long long before = sizer.rows();
    for (int i = 0; i < 40; ++i) {
        run(sizer, 1, 1);
        BOOST_TEST(static_cast<double>(sizer.rows()) <= 1.5 * static_cast<double>(before));
        before = sizer.rows();
    }
    BOOST_TEST(sizer.rows() == ChunkSizer::most_rows);
}

BOOST_AUTO_TEST_CASE(short_chunks_are_left_out_unless_slow) {
    ChunkSizer sizer{0, target};
    run(sizer, 30, 10);
    for (int i = 0; i < 20; ++i)
        sizer.record(3, 2); // the last rows of many splits
    BOOST_TEST(sizer.rows() == 20000);
    for (int i = 0; i < 20; ++i)
        sizer.record(1000, 300);
    BOOST_TEST(sizer.rows() > 660);
    BOOST_TEST(sizer.rows() < 670);
}

BOOST_AUTO_TEST_CASE(senseless_samples_are_ignored) {
    ChunkSizer sizer{0, target};
    sizer.record(0, 5000);
    sizer.record(-5, 5000);
    sizer.record(1000, -1);
    sizer.record(1000, std::numeric_limits<double>::quiet_NaN());
    BOOST_TEST(sizer.rows() == 1000);
}

BOOST_AUTO_TEST_CASE(a_clock_that_shows_zero_is_harmless) {
    ChunkSizer sizer{0, target};
    for (int i = 0; i < 50; ++i)
        sizer.record(sizer.rows(), 0);
    BOOST_TEST(sizer.rows() == ChunkSizer::most_rows);
}

BOOST_AUTO_TEST_CASE(infinity_shrinks) {
    ChunkSizer sizer{0, target};
    sizer.record(1000, std::numeric_limits<double>::infinity());
    BOOST_TEST(sizer.rows() == ChunkSizer::least_rows);
}

BOOST_AUTO_TEST_CASE(a_target_that_is_none_is_the_default) {
    ChunkSizer sizer{0, 0};
    run(sizer, 30, 10);
    BOOST_TEST(sizer.rows() == 20000);
}
