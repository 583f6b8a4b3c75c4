// The states of a job and every edge between them, in one constexpr table that the scheduler, the control functions and
// the views share. Std regime, but all of it is constexpr over trivial types, so that the pg regime may use it freely.
// Takes no locks and may not know how or where a state is stored.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

// A job's state. Each line gives the legal successors, as job_edges lists them. Written by the scheduler alone.
enum class JobState : unsigned char {
    queued,                 // running, paused, cancelling, cancelled
    running,                // pausing, failing, cancelling, succeeded, succeeded_with_rejects
    pausing,                // paused, running
    paused,                 // queued, cancelling
    failing,                // failed
    cancelling,             // cancelled, failing
    succeeded,              // none: the job is over for good
    succeeded_with_rejects, // none: the rejects are driven again by a job of their own
    failed,                 // queued (resume: a new attempt that goes on where it stopped)
    cancelled,              // queued (resume)
};

inline constexpr std::size_t job_state_count = 10;

// The name of each state in the order of the enum, as users see it and as the catalog stores it.
inline constexpr std::array<const char *, job_state_count> job_state_names{
    "queued", "running",   "pausing", "paused", "failing", "cancelling", "succeeded", "succeeded_with_rejects",
    "failed", "cancelled",
};

struct JobEdge {
    JobState from;
    JobState to;
};

// Every legal change of state. What is not here may not happen; a state is no successor of itself.
inline constexpr std::array job_edges{
    JobEdge{JobState::queued, JobState::running},
    JobEdge{JobState::queued, JobState::paused}, // also: restored from a dump, in a clone, after point-in-time recovery
    JobEdge{JobState::queued, JobState::cancelling}, // a job that goes on later, with indexes to be rebuilt first
    JobEdge{JobState::queued, JobState::cancelled},
    JobEdge{JobState::running, JobState::pausing},
    JobEdge{JobState::running, JobState::failing},
    JobEdge{JobState::running, JobState::cancelling},
    JobEdge{JobState::running, JobState::succeeded},
    JobEdge{JobState::running, JobState::succeeded_with_rejects},
    JobEdge{JobState::pausing, JobState::paused},
    JobEdge{JobState::pausing, JobState::running},
    JobEdge{JobState::paused, JobState::queued},
    JobEdge{JobState::paused, JobState::cancelling},
    JobEdge{JobState::failing, JobState::failed},
    JobEdge{JobState::cancelling, JobState::cancelled},
    JobEdge{JobState::cancelling, JobState::failing}, // its indexes could not be rebuilt
    JobEdge{JobState::failed, JobState::queued},
    JobEdge{JobState::cancelled, JobState::queued},
};

// Says whether a job in state `from` may change to `to`. False for values outside the enum.
constexpr bool may(JobState from, JobState to) noexcept {
    for (const JobEdge &edge : job_edges)
        if (edge.from == from && edge.to == to) return true;
    return false;
}

// Says whether nothing of the job runs any more and its result stands. `failed` and `cancelled` are terminal although
// `resume` may queue them again; `paused` is not, since the job is still to be finished.
constexpr bool terminal(JobState state) noexcept {
    return state == JobState::succeeded || state == JobState::succeeded_with_rejects || state == JobState::failed ||
           state == JobState::cancelled;
}

// The state's name: static storage, NUL-terminated, never null. "unknown" for a value outside the enum.
constexpr const char *name(JobState state) noexcept {
    const auto index = static_cast<std::size_t>(state);
    return index < job_state_count ? job_state_names[index] : "unknown";
}

// The state of that exact name (case counts), or nothing.
constexpr std::optional<JobState> parse(std::string_view text) noexcept {
    for (std::size_t i = 0; i < job_state_count; ++i)
        if (text == job_state_names[i]) return static_cast<JobState>(i);
    return std::nullopt;
}

namespace detail {

// Appends to a caller's buffer and counts what would have been written, as snprintf does.
struct TextSink {
    std::span<char> out;
    std::size_t length = 0;

    constexpr void put(std::string_view text) noexcept {
        for (const char c : text) {
            if (length + 1 < out.size()) out[length] = c;
            ++length;
        }
    }

    constexpr std::size_t finish() noexcept {
        if (!out.empty()) out[length < out.size() ? length : out.size() - 1] = '\0';
        return length;
    }
};

// Says whether a terminal state can be reached from `start`, by breadth first search over job_edges.
constexpr bool reaches_terminal(JobState start) noexcept {
    std::array<bool, job_state_count> seen{};
    seen[static_cast<std::size_t>(start)] = true;
    for (std::size_t round = 0; round < job_state_count; ++round)
        for (const JobEdge &edge : job_edges)
            if (seen[static_cast<std::size_t>(edge.from)]) seen[static_cast<std::size_t>(edge.to)] = true;
    for (std::size_t i = 0; i < job_state_count; ++i)
        if (seen[i] && terminal(static_cast<JobState>(i))) return true;
    return false;
}

constexpr bool every_state_reaches_terminal() noexcept {
    for (std::size_t i = 0; i < job_state_count; ++i)
        if (!reaches_terminal(static_cast<JobState>(i))) return false;
    return true;
}

constexpr bool has_way_out(JobState state) noexcept {
    for (const JobEdge &edge : job_edges)
        if (edge.from == state) return true;
    return false;
}

constexpr bool edges_are_distinct() noexcept {
    for (std::size_t i = 0; i < job_edges.size(); ++i)
        for (std::size_t j = i + 1; j < job_edges.size(); ++j)
            if (job_edges[i].from == job_edges[j].from && job_edges[i].to == job_edges[j].to) return false;
    return true;
}

constexpr bool names_come_back() noexcept {
    for (std::size_t i = 0; i < job_state_count; ++i)
        if (parse(job_state_names[i]) != static_cast<JobState>(i)) return false;
    return true;
}

} // namespace detail

// Writes the graph of states in Graphviz's dot language into `out` (owned by the caller, 2000 bytes are enough), always
// NUL-terminated unless `out` is empty. Returns the length of the whole text without the NUL: a result of out.size() or
// more means that the text was cut. Terminal states have a double border.
constexpr std::size_t dot(std::span<char> out) noexcept {
    detail::TextSink sink{out};
    sink.put("digraph job_state {\n");
    for (std::size_t i = 0; i < job_state_count; ++i) {
        sink.put("  ");
        sink.put(job_state_names[i]);
        sink.put(terminal(static_cast<JobState>(i)) ? " [peripheries=2];\n" : ";\n");
    }
    for (const JobEdge &edge : job_edges) {
        sink.put("  ");
        sink.put(name(edge.from));
        sink.put(" -> ");
        sink.put(name(edge.to));
        sink.put(";\n");
    }
    sink.put("}\n");
    return sink.finish();
}

static_assert(static_cast<std::size_t>(JobState::cancelled) + 1 == job_state_count);
static_assert(detail::names_come_back(), "each state's name is its own and parses back");
static_assert(detail::edges_are_distinct());
static_assert(detail::every_state_reaches_terminal(), "no job can be stuck for ever");
static_assert(!detail::has_way_out(JobState::succeeded) && !detail::has_way_out(JobState::succeeded_with_rejects),
              "a succeeded job never runs again");
static_assert(std::is_trivially_copyable_v<JobEdge> && std::is_trivially_destructible_v<JobEdge>);
static_assert(std::is_trivially_copyable_v<std::optional<JobState>> &&
              std::is_trivially_destructible_v<std::optional<JobState>>);

} // namespace stride::core
