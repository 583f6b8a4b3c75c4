// Tests the job state table: the edges against a list written by hand, names, recovery of every state, the graph.
#define BOOST_TEST_MODULE job_state
#include <boost/test/included/unit_test.hpp>

#include <array>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "core/job_state.hpp"

using namespace stride::core;

namespace {

JobState state(std::size_t i) {
    return static_cast<JobState>(i);
}

// The design's list, as text, independent of the table under test.
const std::set<std::pair<std::string, std::string>> expected_edges{
    {"queued", "running"},    {"queued", "paused"},
    {"queued", "cancelled"},  {"running", "pausing"},
    {"running", "failing"},   {"running", "cancelling"},
    {"running", "succeeded"}, {"running", "succeeded_with_rejects"},
    {"pausing", "paused"},    {"pausing", "running"},
    {"paused", "queued"},     {"paused", "cancelling"},
    {"failing", "failed"},    {"cancelling", "cancelled"},
    {"queued", "cancelling"}, {"cancelling", "failing"},
    {"failed", "queued"},     {"cancelled", "queued"},
};

} // namespace

BOOST_AUTO_TEST_CASE(edges_are_exactly_the_designs) {
    std::set<std::pair<std::string, std::string>> found;
    for (std::size_t i = 0; i < job_state_count; ++i)
        for (std::size_t j = 0; j < job_state_count; ++j)
            if (may(state(i), state(j))) found.emplace(name(state(i)), name(state(j)));
    BOOST_TEST((found == expected_edges));
    BOOST_TEST(found.size() == job_edges.size());
}

BOOST_AUTO_TEST_CASE(a_scheduler_never_requeues_a_running_job) {
    BOOST_TEST(!may(JobState::running, JobState::queued));
    BOOST_TEST(!may(JobState::queued, JobState::failed));
    BOOST_TEST(!may(JobState::running, JobState::paused));
    BOOST_TEST(!may(JobState::running, JobState::running));
}

BOOST_AUTO_TEST_CASE(terminal_states) {
    std::set<std::string> found;
    for (std::size_t i = 0; i < job_state_count; ++i)
        if (terminal(state(i))) found.insert(name(state(i)));
    const std::set<std::string> expected{"succeeded", "succeeded_with_rejects", "failed", "cancelled"};
    BOOST_TEST((found == expected));
    for (std::size_t i = 0; i < job_state_count; ++i) {
        BOOST_TEST(!may(JobState::succeeded, state(i)));
        BOOST_TEST(!may(JobState::succeeded_with_rejects, state(i)));
    }
}

BOOST_AUTO_TEST_CASE(names_parse_back) {
    for (std::size_t i = 0; i < job_state_count; ++i) {
        BOOST_REQUIRE(parse(name(state(i))).has_value());
        BOOST_TEST((*parse(name(state(i))) == state(i)));
    }
    BOOST_TEST(!parse("").has_value());
    BOOST_TEST(!parse("Queued").has_value());
    BOOST_TEST(!parse("succeeded_with").has_value());
    BOOST_TEST(!parse("unknown").has_value());
}

BOOST_AUTO_TEST_CASE(values_outside_the_enum_do_no_harm) {
    BOOST_TEST(std::string(name(state(10))) == "unknown");
    BOOST_TEST(std::string(name(state(255))) == "unknown");
    BOOST_TEST(!may(state(200), JobState::queued));
    BOOST_TEST(!terminal(state(200)));
}

BOOST_AUTO_TEST_CASE(graph_in_dot) {
    std::array<char, 2000> text{};
    const std::size_t length = dot(text);
    BOOST_REQUIRE(length < text.size());
    BOOST_TEST(std::strlen(text.data()) == length);
    const std::string graph{text.data()};
    BOOST_TEST(graph.starts_with("digraph job_state {\n"));
    BOOST_TEST(graph.ends_with("}\n"));
    for (const auto &[from, to] : expected_edges)
        BOOST_TEST((graph.find("  " + from + " -> " + to + ";\n") != std::string::npos));
    BOOST_TEST((graph.find("  succeeded [peripheries=2];\n") != std::string::npos));
    BOOST_TEST((graph.find("  paused;\n") != std::string::npos));
    BOOST_TEST_MESSAGE(graph);
}

BOOST_AUTO_TEST_CASE(graph_cut_to_a_small_buffer) {
    std::array<char, 2000> whole{};
    const std::size_t length = dot(whole);
    std::array<char, 12> small{};
    small.fill('x');
    BOOST_TEST(dot(small) == length);
    BOOST_TEST(std::string(small.data()) == "digraph job");
    BOOST_TEST(dot(std::span<char>{}) == length);
}
