// How many rows the next chunk takes: fixed by the user, or steered towards a target time by what the last chunks took.
// Std regime, constexpr and trivially copyable, so that it may lie in shared memory. It takes no locks itself: one that
// is shared by several processes is guarded by its holder. May not read a clock; the caller measures.
//
// The law (design: pacing; the sizer of Spirit, with durations normalised to a row so that the history survives a
// change of size): with 10 samples, rows = rows * target / p90, which is target / (90th percentile of milliseconds a
// row); at most 1.5 times the present size in one step; a tenth at once when a chunk took over 5 times the target;
// within [100, 100000].
//
// A chunk may also cost what no size changes, such as the hash table of a joined table: smaller chunks would only pay
// it more often.  The straight line through the last chunks of two sizes tells that cost; p90 is that of what is above
// it, and the rows get what it leaves of the target, but at least half the target and at least as much time as the cost
// itself, so that never more than half of a job's time goes into it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

class ChunkSizer {
public:
    static constexpr long long start_rows = 1000; // the first chunk of an adaptive job
    static constexpr long long least_rows = 100;
    static constexpr long long most_rows = 100000;
    static constexpr double default_target_ms = 200.0;
    static constexpr std::size_t history_size = 10;   // samples the law needs, and the most it looks at
    static constexpr std::size_t percentile_rank = 9; // nearest rank of p90 among 10: the second largest
    static constexpr double growth_limit = 1.5;       // the most that one step of the law grows
    static constexpr double ramp_factor = 2.0;        // growth a sample while the history fills
    static constexpr double ramp_below = 0.5;         // of the target: a faster chunk lets the ramp grow
    static constexpr double slow_factor = 5.0;        // times the target: a slower chunk shrinks at once
    static constexpr long long slow_divisor = 10;
    static constexpr double full_share = 0.5; // of rows(): a smaller sample says little about a full chunk
    static constexpr double apart = 1.25;     // sizes so far from each other tell the fixed cost
    static constexpr double rows_share = 0.5; // of the target: the least that is left to the rows

    static constexpr double longest_ms = 1e9; // a longer time is no measurement, and of no use in differences

    // `fixed_rows` > 0 fixes the size, whatever it is; 0 (or less) adapts. `target_ms` is the wanted duration of a
    // chunk in milliseconds; one that is not above 0 means the default.
    constexpr explicit ChunkSizer(long long fixed_rows = 0, double target_ms = default_target_ms) noexcept
        : fixed_{fixed_rows > 0}, rows_{fixed_rows > 0 ? fixed_rows : start_rows}, target_ms_{target_ms > 0
                                                                                                  ? target_ms
                                                                                                  : default_target_ms} {
    }

    // The number of rows for the next chunk, at least 1.
    constexpr long long rows() const noexcept { return rows_; }

    // What a chunk is expected to cost whatever its size, in milliseconds.
    constexpr double fixed_cost_ms() const noexcept { return fixed_ms_; }

    // Tells what a committed chunk of `rows` driving rows took, in milliseconds of work: throttled time left out, waits
    // for locks included. A sample without rows or with a negative time is ignored. A short chunk, such as the last of
    // a split, shows the fixed cost of a chunk rather than that of a row, and counts only if it was slower than the
    // target.
    constexpr void record(long long rows, double ms) noexcept {
        if (fixed_ || rows <= 0 || !(ms >= 0)) return;
        learn_fixed_cost({static_cast<double>(rows), ms});
        if (ms > slow_factor * whole_target_ms()) {
            // A tenth of the chunk that was slow: where other chunks of the old size are still on their way, their slow
            // ends do not shrink it once more.
            rows_ = std::clamp(std::min(rows_, rows / slow_divisor), least_rows, most_rows);
            forget();
            return;
        }
        if (static_cast<double>(rows) < full_share * static_cast<double>(rows_) && ms <= target_ms_) return;
        remember({static_cast<double>(rows), ms});
        if (samples_ >= history_size)
            follow_law();
        else if (ms - fixed_ms_ < ramp_below * rows_target_ms())
            ramp();
    }

    // Halves the size, of a fixed one too: the chunk asked for more memory than there is. The history starts anew.
    constexpr void shrink() noexcept {
        rows_ = std::max(1LL, rows_ / 2);
        forget();
    }

private:
    struct Sample {
        double rows;
        double ms;
    };

    // The time that the rows of a chunk may take, and the chunk with them.
    constexpr double rows_target_ms() const noexcept {
        return std::max({target_ms_ - fixed_ms_, rows_share * target_ms_, fixed_ms_});
    }
    constexpr double whole_target_ms() const noexcept { return fixed_ms_ + rows_target_ms(); }

    // Where the line through two chunks meets zero rows.  A larger chunk that was not slower says that all is fixed
    // cost.
    constexpr void learn_fixed_cost(Sample sample) noexcept {
        const Sample small = sample.rows < last_.rows ? sample : last_;
        const Sample large = sample.rows < last_.rows ? last_ : sample;
        if (sample.ms > longest_ms) return;
        fixed_ms_ = std::min(fixed_ms_, sample.ms);
        last_ = sample;
        if (small.rows <= 0 || large.rows < apart * small.rows) return;
        const double ms_per_row = std::max(0.0, (large.ms - small.ms) / (large.rows - small.rows));
        fixed_ms_ = std::clamp(small.ms - ms_per_row * small.rows, 0.0, std::min(small.ms, large.ms));
    }

    constexpr void forget() noexcept {
        samples_ = 0;
        next_ = 0;
    }

    constexpr void remember(Sample sample) noexcept {
        history_[next_] = sample;
        next_ = (next_ + 1) % history_size;
        samples_ = std::min(samples_ + 1, history_size);
    }

    // Waiting for 10 chunks of the first size would keep a fast job small for long (10 chunks of 1000 rows, then steps of
    // 1.5). So while the history fills, each chunk whose rows took less than half their time doubles the size: the doubled
    // chunk is expected within the target, so the ramp does not overshoot.
    constexpr void ramp() noexcept { resize(static_cast<double>(rows_) * ramp_factor); }

    constexpr void follow_law() noexcept {
        std::array<double, history_size> sorted{};
        for (std::size_t i = 0; i < history_size; ++i)
            sorted[i] = std::max(0.0, history_[i].ms - fixed_ms_) / history_[i].rows;
        std::sort(sorted.begin(), sorted.end());
        const double p90 = sorted[percentile_rank - 1];
        const double limit = static_cast<double>(rows_) * growth_limit;
        // Written so that a p90 of 0 (a clock too coarse) grows by the limit and is no divisor.
        resize(p90 * limit <= rows_target_ms() ? limit : rows_target_ms() / p90);
    }

    constexpr void resize(double wanted) noexcept {
        // Clamped before the conversion, which is undefined out of range.
        rows_ =
            static_cast<long long>(std::clamp(wanted, static_cast<double>(least_rows), static_cast<double>(most_rows)));
    }

    bool fixed_;
    long long rows_;
    double target_ms_;
    double fixed_ms_ = 0;
    Sample last_{};
    std::array<Sample, history_size> history_{}; // a ring; its order does not matter to a percentile
    std::size_t samples_ = 0;
    std::size_t next_ = 0;
};

static_assert(std::is_trivially_copyable_v<ChunkSizer> && std::is_trivially_destructible_v<ChunkSizer>);

} // namespace stride::core
