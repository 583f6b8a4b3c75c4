// Tests the narrowing of failed chunks: every row ends passed or rejected, only bad ones are rejected, and how many attempts
// that costs, for rows that are bad one by one, in runs, in all densities, and for chunks that fail together only.
#define BOOST_TEST_MODULE bisect
#include <boost/test/included/unit_test.hpp>

#include <bit>
#include <cstddef>
#include <random>
#include <vector>

#include "core/bisect.hpp"

using stride::core::Bisect;

namespace {

struct Run {
    long long attempts = 0; // chunks tried, failed ones and committed ones
    long long rejected = 0;
    long long wrong = 0; // good rows rejected or bad rows passed
    long long rows_tried = 0;
};

// Drives all rows as a worker does; bad[i] says which are bad.
Run drive(const std::vector<bool> &bad, long long full) {
    Run run;
    Bisect bisect;
    std::size_t position = 0;
    while (position < bad.size()) {
        const long long left = static_cast<long long>(bad.size() - position);
        const long long rows = std::min(bisect.limit(full), left);
        bool fails = false;
        for (long long i = 0; i < rows; i++)
            fails = fails || bad[position + static_cast<std::size_t>(i)];
        run.attempts++;
        run.rows_tried += rows;
        if (!fails) {
            bisect.passed(rows);
            position += static_cast<std::size_t>(rows);
            continue;
        }
        bisect.failed(rows);
        if (rows > 1) continue;
        run.wrong += bisect.isolated() && bad[position] ? 0 : 1;
        bisect.rejected();
        run.rejected++;
        position++;
    }
    return run;
}

std::vector<bool> rows_with(std::size_t count, std::initializer_list<std::size_t> bad) {
    std::vector<bool> rows(count, false);
    for (const std::size_t row : bad)
        rows[row] = true;
    return rows;
}

long long log2_up(long long n) {
    return static_cast<long long>(std::bit_width(static_cast<unsigned long long>(n - 1)));
}

} // namespace

BOOST_AUTO_TEST_CASE(good_rows_go_at_full_size) {
    const Run run = drive(std::vector<bool>(10000, false), 1000);
    BOOST_TEST(run.attempts == 10);
    BOOST_TEST(run.rejected == 0);
}

BOOST_AUTO_TEST_CASE(one_bad_row_wherever_it_is) {
    for (std::size_t at = 0; at < 1024; at++) {
        const Run run = drive(rows_with(1024, {at}), 1024);
        BOOST_TEST(run.rejected == 1);
        BOOST_TEST(run.wrong == 0);
        BOOST_TEST(run.attempts <= 1 + 10 + 1 + 1); // the chunk, its halves, the row, and what is left at full size
    }
}

BOOST_AUTO_TEST_CASE(cost_is_within_twice_the_logarithm_for_each_bad_row) {
    std::mt19937 random(5);
    for (const long long full : {2LL, 7LL, 64LL, 1000LL, 4096LL})
        for (const double share : {0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 1.0}) {
            std::bernoulli_distribution is_bad(share);
            std::vector<bool> rows(20000);
            long long bad = 0;
            for (std::size_t i = 0; i < rows.size(); i++) {
                rows[i] = is_bad(random);
                bad += rows[i] ? 1 : 0;
            }
            const Run run = drive(rows, full);
            const long long chunks = (static_cast<long long>(rows.size()) + full - 1) / full;
            BOOST_TEST_CONTEXT("chunks of " << full << ", share " << share) {
                BOOST_TEST(run.rejected == bad);
                BOOST_TEST(run.wrong == 0);
                BOOST_TEST(run.attempts <= 2 * bad * log2_up(full) + chunks);
            }
        }
}

BOOST_AUTO_TEST_CASE(dense_bad_rows_are_not_read_a_thousand_times) {
    std::vector<bool> every_second(10000);
    for (std::size_t i = 0; i < every_second.size(); i += 2)
        every_second[i] = true;
    const Run half = drive(every_second, 10000);
    BOOST_TEST(half.attempts <= 5 * half.rejected);
    BOOST_TEST(half.rows_tried <= 10 * static_cast<long long>(every_second.size()));
    const Run all = drive(std::vector<bool>(10000, true), 10000);
    BOOST_TEST(all.attempts <= 10000 + 2 * 14 + 2); // one a row, once it is known
}

BOOST_AUTO_TEST_CASE(rows_that_fail_together_only_are_not_rejected) {
    Bisect bisect;
    bisect.failed(8);
    BOOST_TEST(bisect.limit(1000) == 4);
    bisect.passed(4);
    bisect.passed(2);
    bisect.passed(1);
    BOOST_TEST(bisect.isolated());
    BOOST_TEST(bisect.limit(1000) == 1);
    bisect.passed(1);
    BOOST_TEST(!bisect.isolated());
    BOOST_TEST(bisect.limit(1000) == 1000);
}

BOOST_AUTO_TEST_CASE(extreme_arguments) {
    Bisect bisect;
    BOOST_TEST(bisect.limit(1) == 1);
    bisect.failed(0); // no chunk has no rows, but the next must have one
    BOOST_TEST(bisect.limit(5) == 1);
    bisect.rejected();
    bisect.rejected();
    BOOST_TEST(bisect.limit(5) == 1);
    bisect.passed(Bisect::unlimited);
    bisect.passed(Bisect::unlimited);
    bisect.failed(Bisect::unlimited);
    BOOST_TEST(bisect.limit(5) == 5);
}
