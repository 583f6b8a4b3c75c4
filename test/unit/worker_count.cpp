// Tests the law of the number of workers on series of looks, five a second, as jobs of several kinds give them.
#define BOOST_TEST_MODULE worker_count
#include <boost/test/included/unit_test.hpp>

#include <algorithm>

#include "core/worker_count.hpp"

using stride::core::WorkerCount;
using stride::core::WorkersLook;

namespace {

constexpr double look_ms = 200;

// A job: rows a second and the share of time that its workers wait, by their number.
struct Job {
    double (*rate)(int workers);
    double (*waits)(int workers);
};

// A transform that computes: two cores, and no more rows from a third worker.
constexpr Job computes = {[](int n) { return 1000.0 * std::min(n, 2); }, [](int) { return 0.02; }};
// One that sleeps nine tenths of its time: rows grow with the workers up to 20.
constexpr Job sleeps = {[](int n) { return 100.0 * std::min(n, 20); }, [](int n) { return n <= 20 ? 0.9 : 0.6; }};
// One that waits for a disk that gives no more than three workers ask for.
constexpr Job disk = {[](int n) { return 500.0 * std::min(n, 3); }, [](int n) { return n <= 3 ? 0.7 : 0.8; }};
// Writes that gain nothing from the second worker.
constexpr Job contended = {[](int n) { return n == 1 ? 1000.0 : 1010.0; }, [](int) { return 0.1; }};

struct Run {
    WorkerCount law;
    double now_ms = 0;
    double rows = 0;
    double waited = 0;
    int most = 0;
    int changes = 0;

    explicit Run(int cores) : law{cores, cores} {}

    void go(const Job &job, double seconds, int limit = 64, bool throttled = false) {
        law.limit(limit);
        for (double end = now_ms + 1000 * seconds; now_ms < end; now_ms += look_ms) {
            const int n = law.wanted();
            rows += job.rate(n) * look_ms / 1000;
            waited += job.waits(n) * n; // whole workers are seen to wait; the rest is carried on
            const int waiting = std::min(n, static_cast<int>(waited));
            waited -= waiting;
            law.look({now_ms, n, waiting, throttled, static_cast<long long>(rows), static_cast<long long>(now_ms / 20)});
            most = std::max(most, law.wanted());
            changes += law.wanted() != n ? 1 : 0;
        }
    }
};

} // namespace

BOOST_AUTO_TEST_CASE(a_job_that_computes_stays_with_the_cores) {
    Run run{2};
    run.go(computes, 50);
    BOOST_TEST(run.law.wanted() == 2);
    BOOST_TEST(run.changes == 0);
    run.go(computes, 3600);
    BOOST_TEST(run.most == 2);
    BOOST_TEST(run.law.wanted() == 2);
    BOOST_TEST(run.changes <= 2 * 10); // one less is tried after 1, 2, 4, 8 and 16 minutes, and every 16
}

BOOST_AUTO_TEST_CASE(a_job_that_sleeps_grows_beyond_the_cores) {
    Run run{2};
    run.go(sleeps, 2.4);
    BOOST_TEST(run.law.wanted() == 4);
    run.go(sleeps, 20);
    BOOST_TEST(run.law.wanted() >= 14); // 2 cores / 0.1 = 20, in steps that are worth it
    BOOST_TEST(run.law.wanted() <= 20);
}

BOOST_AUTO_TEST_CASE(it_grows_no_further_than_the_limit) {
    Run run{2};
    run.go(sleeps, 60, 6);
    BOOST_TEST(run.law.wanted() == 6);
    run.go(sleeps, 1, 3);
    BOOST_TEST(run.law.wanted() == 3);
    run.go(sleeps, 30, 1);
    BOOST_TEST(run.law.wanted() == 1);
}

BOOST_AUTO_TEST_CASE(growth_that_brings_nothing_is_taken_back) {
    // From 2 to 4 brings 1.5 times as much, 4 to 5 or 8 nothing.
    Run run{2};
    run.go(disk, 30);
    BOOST_TEST(run.most > 4);
    BOOST_TEST(run.law.wanted() == 4);
    const int changes = run.changes;
    run.go(disk, 25);
    BOOST_TEST(run.changes == changes); // patience
    run.go(disk, 600);
    BOOST_TEST(run.law.wanted() <= 5); // and one that is of no use is given back in time
    BOOST_TEST(run.law.wanted() >= 3);
}

BOOST_AUTO_TEST_CASE(workers_of_no_use_are_given_back) {
    Run run{2};
    run.go(contended, 55);
    BOOST_TEST(run.law.wanted() == 2);
    run.go(contended, 20);
    BOOST_TEST(run.law.wanted() == 1);
    run.go(contended, 600);
    BOOST_TEST(run.law.wanted() == 1);
}

BOOST_AUTO_TEST_CASE(more_than_the_cores_go_when_the_waiting_ends) {
    Run run{2};
    run.go(sleeps, 10, 8);
    BOOST_TEST(run.law.wanted() == 8);
    run.go(computes, 50, 8);
    BOOST_TEST(run.law.wanted() == 2);
}

BOOST_AUTO_TEST_CASE(a_throttled_job_tells_nothing) {
    Run run{2};
    run.go(sleeps, 300, 64, true);
    BOOST_TEST(run.changes == 0);
}

BOOST_AUTO_TEST_CASE(workers_that_are_not_there_yet_are_waited_for) {
    WorkerCount law{4, 4};
    for (int i = 0; i < 1000; i++)
        law.look({i * look_ms, 3, 3, false, i, i});
    BOOST_TEST(law.wanted() == 4);
}

BOOST_AUTO_TEST_CASE(long_chunks_are_waited_for) {
    WorkerCount law{2, 2};
    for (int i = 0; i < 250; i++) // 50 s without a chunk
        law.look({i * look_ms, 2, 2, false, 0, 0});
    BOOST_TEST(law.wanted() == 2);
    for (int i = 250; i < 310; i++)
        law.look({i * look_ms, 2, 2, false, 10, 1});
    BOOST_TEST(law.wanted() == 4);
}
