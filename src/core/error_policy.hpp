// What a failed chunk's SQLSTATE makes the worker do, as one table by prefix: the longest matching prefix wins, and an
// unknown code fails the job. Std regime, constexpr over trivial types, usable in the pg regime. Takes no locks. It
// sees the code only: causes that one code hides (57014 above all) are told apart by the caller before it asks here.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

// What to do with the chunk, whose transaction has been rolled back in every case. No policy but `bisect` may ever end
// in a reject.
enum class ErrorPolicy {
    retry,          // the same chunk again, read included, after backoff; after retries_before_shrink, shrink
    wait_and_retry, // as retry with a long backoff; then pause with the reason: waiting may help, other rows will not
    shrink,         // halve the chunk and try again at once; at the floor, wait_and_retry
    bisect, // the fault of some row: narrow down by committed sub-chunks, then reject it if the job allows, else fail
    pause,  // pause the job with the reason; a person or a promotion goes on from there
    fail,   // fail the job at once: the same for every row, or a sign of a bug or of corruption
    interrupt, // this process was told to end; the chunk is taken over, no attempt is counted
};

// How often `retry` runs a chunk of the same size before it shrinks it.
inline constexpr int retries_before_shrink = 10;

// The rows of a chunk that has failed so often in a row, of `rows` that it would have: halved with each attempt after
// that.
constexpr long long rows_at_retry(long long rows, int failed_attempts) noexcept {
    for (int i = retries_before_shrink; i < failed_attempts && rows > 1; ++i)
        rows /= 2;
    return rows;
}

struct PolicyRule {
    std::string_view prefix; // the first 1 to 5 characters of the SQLSTATE
    ErrorPolicy policy;
};

// The rules. Lines that say `fail` are there to be read and tested: a code that no line matches fails too.
inline constexpr std::array policy_rules{
    // Conflicts between transactions. 40003 (completion unknown) is left out on purpose: it fails.
    PolicyRule{"40001", ErrorPolicy::retry}, // serialization_failure
    PolicyRule{"40P01", ErrorPolicy::retry}, // deadlock_detected
    // Connections of foreign tables and dblink, and snapshots too old.
    PolicyRule{"08", ErrorPolicy::retry},
    PolicyRule{"72000", ErrorPolicy::retry},

    // Locks that others hold: never a row's fault.
    PolicyRule{"55P03", ErrorPolicy::wait_and_retry}, // lock_not_available (lock_timeout)
    PolicyRule{"55006", ErrorPolicy::wait_and_retry}, // object_in_use
    // Resources: disk_full, too_many_connections, configuration_limit_exceeded. Skipping rows would lose good ones.
    PolicyRule{"53", ErrorPolicy::wait_and_retry},
    PolicyRule{"53200", ErrorPolicy::shrink}, // out_of_memory: a smaller chunk needs less
    // Limits of the program: memory (the stack) waits, a row that is too large is the row's fault, the others (too many
    // columns or arguments) are the same for every row.
    PolicyRule{"54", ErrorPolicy::fail},
    PolicyRule{"54000", ErrorPolicy::bisect},
    PolicyRule{"54001", ErrorPolicy::wait_and_retry},

    // A cancel request whose cause the caller does not know: somebody wanted it to stop. The caller has looked before
    // at its own flags: a cancel or pause of the job is that, and our own chunk timer is shrink, at the floor bisect.
    PolicyRule{"57014", ErrorPolicy::pause},
    // The server or the database is read-only: a standby, or a default. Resumes on promotion.
    PolicyRule{"25006", ErrorPolicy::pause},

    // This process has been told to end.
    PolicyRule{"57P01", ErrorPolicy::interrupt}, // admin_shutdown
    PolicyRule{"57P02", ErrorPolicy::interrupt}, // crash_shutdown
    PolicyRule{"57P03", ErrorPolicy::interrupt}, // cannot_connect_now
    PolicyRule{"57P05", ErrorPolicy::interrupt}, // idle_session_timeout
    PolicyRule{"25P03", ErrorPolicy::interrupt}, // idle_in_transaction_session_timeout
    PolicyRule{"25P04", ErrorPolicy::interrupt}, // transaction_timeout

    // Faults of a row: data, constraints (restrict_violation is 23001 from 18 on), RAISE, a second hit on one key.
    PolicyRule{"22", ErrorPolicy::bisect},
    PolicyRule{"23", ErrorPolicy::bisect},
    PolicyRule{"P0", ErrorPolicy::bisect},
    PolicyRule{"21000", ErrorPolicy::bisect},
    PolicyRule{"44000", ErrorPolicy::bisect}, // with_check_option_violation, of a view that is written through

    // The same for every row: syntax, names, privileges; unsupported; authorization; no such database or schema; a
    // transform that tried to commit.
    PolicyRule{"42", ErrorPolicy::fail},
    PolicyRule{"0A", ErrorPolicy::fail},
    PolicyRule{"28", ErrorPolicy::fail},
    PolicyRule{"3D", ErrorPolicy::fail},
    PolicyRule{"3F", ErrorPolicy::fail},
    PolicyRule{"2D", ErrorPolicy::fail},
    // Our own bugs: prepared statement, cursor and transaction states.
    PolicyRule{"24", ErrorPolicy::fail},
    PolicyRule{"25", ErrorPolicy::fail},
    PolicyRule{"26", ErrorPolicy::fail},
    PolicyRule{"34", ErrorPolicy::fail},
    // I/O errors, corruption, internal errors.
    PolicyRule{"58", ErrorPolicy::fail},
    PolicyRule{"XX", ErrorPolicy::fail},
};

// The policy for a SQLSTATE of five characters. A text of another length, an unknown code and an unknown class: fail.
constexpr ErrorPolicy policy(std::string_view sqlstate) noexcept {
    ErrorPolicy found = ErrorPolicy::fail;
    if (sqlstate.size() != 5) return found;
    std::size_t longest = 0;
    for (const PolicyRule &rule : policy_rules)
        if (rule.prefix.size() > longest && sqlstate.substr(0, rule.prefix.size()) == rule.prefix) {
            longest = rule.prefix.size();
            found = rule.policy;
        }
    return found;
}

// The policy's name for log lines and events: static storage, NUL-terminated, never null.
constexpr const char *name(ErrorPolicy what) noexcept {
    switch (what) {
    case ErrorPolicy::retry:
        return "retry";
    case ErrorPolicy::wait_and_retry:
        return "wait_and_retry";
    case ErrorPolicy::shrink:
        return "shrink";
    case ErrorPolicy::bisect:
        return "bisect";
    case ErrorPolicy::pause:
        return "pause";
    case ErrorPolicy::fail:
        return "fail";
    case ErrorPolicy::interrupt:
        return "interrupt";
    }
    return "unknown";
}

namespace detail {

constexpr bool rules_are_sound() noexcept {
    for (std::size_t i = 0; i < policy_rules.size(); ++i) {
        const std::string_view prefix = policy_rules[i].prefix;
        if (prefix.empty() || prefix.size() > 5) return false;
        for (const char c : prefix)
            if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'))) return false;
        for (std::size_t j = i + 1; j < policy_rules.size(); ++j)
            if (policy_rules[j].prefix == prefix) return false;
    }
    return true;
}

} // namespace detail

static_assert(detail::rules_are_sound(), "prefixes are distinct and of SQLSTATE's alphabet");
static_assert(std::is_trivially_copyable_v<PolicyRule> && std::is_trivially_destructible_v<PolicyRule>);

} // namespace stride::core
