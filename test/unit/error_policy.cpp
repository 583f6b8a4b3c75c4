// Tests the error table: one case a class of codes, the rule of the longest prefix, and codes that nobody knows.
#define BOOST_TEST_MODULE error_policy
#include <boost/test/included/unit_test.hpp>

#include <initializer_list>
#include <string_view>

#include "core/error_policy.hpp"

using namespace stride::core;

namespace {

void all(std::initializer_list<std::string_view> codes, ErrorPolicy expected) {
    for (const std::string_view code : codes)
        BOOST_CHECK_MESSAGE(policy(code) == expected, code << " -> " << name(policy(code)));
}

} // namespace

BOOST_AUTO_TEST_CASE(conflicts_are_retried) {
    all({"40001", "40P01"}, ErrorPolicy::retry);
    all({"40000", "40002", "40003"}, ErrorPolicy::fail); // 40003: whether it committed is unknown
}

BOOST_AUTO_TEST_CASE(locks_of_others_are_waited_for) {
    all({"55P03", "55006"}, ErrorPolicy::wait_and_retry);
    all({"55000", "55P02", "55P04"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(a_cancel_without_a_known_cause_pauses) {
    all({"57014"}, ErrorPolicy::pause);
}

BOOST_AUTO_TEST_CASE(shutdown_and_session_timeouts_interrupt) {
    all({"57P01", "57P02", "57P03", "25P03", "25P04", "57P05"}, ErrorPolicy::interrupt);
    all({"57000", "57P04"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(resources_never_skip_rows) {
    all({"53200"}, ErrorPolicy::shrink);
    all({"53000", "53100", "53300", "53400", "54001"}, ErrorPolicy::wait_and_retry);
    all({"54011", "54023"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(corruption_and_system_errors_fail) {
    all({"58000", "58030", "58P01", "58P02", "XX001", "XX002"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(internal_errors_fail) {
    all({"XX000"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(read_only_pauses) {
    all({"25006"}, ErrorPolicy::pause);
}

BOOST_AUTO_TEST_CASE(connections_and_old_snapshots_are_retried) {
    all({"08000", "08001", "08003", "08006", "08P01", "72000"}, ErrorPolicy::retry);
}

BOOST_AUTO_TEST_CASE(faults_of_a_row_are_bisected) {
    all({"22000", "22001", "22003", "22012", "22P02", "22P05", "2203G"}, ErrorPolicy::bisect);
    all({"23000", "23001", "23502", "23503", "23505", "23514", "23P01"}, ErrorPolicy::bisect);
    all({"P0000", "P0001", "P0002", "P0003", "P0004", "21000", "44000", "54000"}, ErrorPolicy::bisect);
}

BOOST_AUTO_TEST_CASE(faults_of_every_row_fail) {
    all({"42501", "42601", "42703", "42883", "42P01", "0A000", "28000", "28P01", "3D000", "3F000"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(a_commit_in_a_transform_fails) {
    all({"2D000"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(our_own_bugs_fail) {
    all({"26000", "34000", "24000", "25000", "25001", "25P01", "25P02"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(unknown_codes_fail) {
    all({"00000", "AB123", "ZZZZZ", "38000", "HV000", "F0000"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(texts_that_are_no_sqlstate_fail) {
    all({"", "2", "22", "4000", "400011", "22p022"}, ErrorPolicy::fail);
}

BOOST_AUTO_TEST_CASE(the_longest_prefix_wins_in_any_order) {
    // Each class stands beside an exception of its own: in the table one comes before, the other after its class.
    all({"53100"}, ErrorPolicy::wait_and_retry);
    all({"53200"}, ErrorPolicy::shrink);
    all({"25001"}, ErrorPolicy::fail);
    all({"25006"}, ErrorPolicy::pause);
}

BOOST_AUTO_TEST_CASE(every_rule_is_reached) {
    for (const PolicyRule &rule : policy_rules) {
        std::string code{rule.prefix};
        code.resize(5, 'Z'); // no rule ends in Z
        BOOST_TEST(name(policy(code)) == name(rule.policy), code);
    }
}

BOOST_AUTO_TEST_CASE(retries_shrink_after_a_while) {
    using stride::core::rows_at_retry;
    BOOST_TEST(rows_at_retry(1000, 0) == 1000);
    BOOST_TEST(rows_at_retry(1000, 10) == 1000);
    BOOST_TEST(rows_at_retry(1000, 11) == 500);
    BOOST_TEST(rows_at_retry(1000, 13) == 125);
    BOOST_TEST(rows_at_retry(1000, 1000) == 1);
    BOOST_TEST(rows_at_retry(1, 1000) == 1);
}
