// Narrows a failed chunk down to the rows at fault, by smaller chunks that are committed in turn: the state is how many
// of the next rows are known to hold a bad one, and how large a chunk may be after that.  Std regime, constexpr and
// trivially copyable.  Takes no locks.  It counts rows only: what a row is and whether it is kept aside is the caller's
// affair.
//
// Of n rows that failed, half are tried.  If they fail, the bad row is among them; if they pass, it is among the rest,
// which need no try as a whole.  So a bad row among n costs at most 2 + log2(n) attempts.  After it the rows go on with
// chunks as long as the last run of good rows was, doubled with each one that passes: where bad rows are rare the first
// chunk has its full size again, where they are dense a chunk does not read a thousand rows to find the next one.
#pragma once

#include <algorithm>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

class Bisect {
public:
    static constexpr long long unlimited = 1LL << 61;

    // How many rows the next chunk may have, of `full` that it would have otherwise (at least 1).
    constexpr long long limit(long long full) const noexcept {
        if (suspects_ == 1) return 1;
        if (suspects_ > 1) return std::min(full, suspects_ / 2);
        return std::min(full, ceiling_);
    }

    // The chunk of the next `rows` rows (at least 1) failed by the fault of some of them.
    constexpr void failed(long long rows) noexcept { suspects_ = std::max(1LL, rows); }

    // A chunk of `rows` rows was committed.
    constexpr void passed(long long rows) noexcept {
        good_run_ = std::min(unlimited, good_run_ + rows);
        if (suspects_ > 0) {
            suspects_ = std::max(0LL, suspects_ - rows); // 0: the same rows fail together only
            return;
        }
        ceiling_ = std::min(unlimited, 2 * ceiling_);
    }

    // The one row that was left is bad; it is passed over.
    constexpr void rejected() noexcept {
        suspects_ = 0;
        ceiling_ = any_rejected_ ? std::max(1LL, good_run_) : unlimited;
        any_rejected_ = true;
        good_run_ = 0;
    }

    // True when one row is left that must be the bad one.
    constexpr bool isolated() const noexcept { return suspects_ == 1; }

private:
    long long suspects_ = 0;        // the next rows, of which at least one is bad; 0 = nothing is known
    long long ceiling_ = unlimited; // of a chunk of rows of which nothing is known
    long long good_run_ = 0;        // rows passed since the last bad one
    bool any_rejected_ = false;
};

static_assert(std::is_trivially_copyable_v<Bisect> && std::is_trivially_destructible_v<Bisect>);

} // namespace stride::core
