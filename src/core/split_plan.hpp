// How a sample of keys cuts a walk into splits. It knows ordinals only, never keys.
// Std regime, constexpr; takes no locks. May not compare or read keys: the caller has sorted the sample in the index's
// own order and left each key in it once.
//
// A sample has n keys, with the ordinals 0 .. n - 1. Ordinal -1 stands for the beginning of the walk and n for its end
// (the upper bound that was fixed at start), so that n + 1 gaps lie between the ordinals. A split is a range of keys
// (key of its lower ordinal, key of its upper ordinal].
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "core/no_postgres.hpp"

namespace stride::core {

inline constexpr int most_splits_per_worker = 8;
inline constexpr int least_splits_per_worker = 2;
inline constexpr int chunks_per_split =
    2; // of the first size: a smaller split is hardly worth its claim and its last, short chunk

// How many splits a walk of about `rows` rows gets for its workers: many enough that they end together, few enough that
// they are worth their while.
constexpr int wanted_splits(double rows, long long chunk_rows, int workers) noexcept {
    const double most = 1.0 * most_splits_per_worker * std::max(1, workers);
    const double least = 1.0 * least_splits_per_worker * std::max(1, workers);
    return static_cast<int>(
        std::clamp(rows / static_cast<double>(chunks_per_split * std::max(1LL, chunk_rows)), least, most));
}

// The number of splits that `samples` keys can bound when `wanted` are asked for: no more than the gaps, at least 1.
constexpr int split_count(int samples, int wanted) noexcept {
    if (samples < 0) samples = 0;
    if (wanted < 1) wanted = 1;
    return wanted - 1 > samples ? samples + 1 : wanted;
}

// The ordinal of the upper bound of split number `split` (0 .. splits - 1) of `splits`, where `splits` is what
// split_count gave for `samples`. The last one is `samples`, the end of the walk. Strictly rising in `split`; gaps per
// split differ by at most one. The lower bound of split 0 is -1, that of any other the upper bound of the one before.
constexpr int upper_ordinal(int samples, int splits, int split) noexcept {
    // The first r gaps end at ordinal r - 1; r is the split's share of all gaps, rounded to the nearest.
    const long long gaps = static_cast<long long>(samples) + 1;
    const long long until = (2 * gaps * (split + 1) + splits) / (2LL * splits);
    return static_cast<int>(until) - 1;
}

// Fills `out` with the upper ordinals of all splits (their number is split_count(samples, wanted)), as far as it
// reaches, and returns how many it wrote.
constexpr std::size_t plan_splits(int samples, int wanted, std::span<int> out) noexcept {
    if (samples < 0) samples = 0;
    const int splits = split_count(samples, wanted);
    std::size_t written = 0;
    for (int split = 0; split < splits && written < out.size(); ++split)
        out[written++] = upper_ordinal(samples, splits, split);
    return written;
}

} // namespace stride::core
