// How many workers a job uses that chooses by itself: as many as keep the cores busy, by what the workers were seen to
// wait for, and no more than are measured to be of use. Std regime, constexpr and trivially copyable. Takes no locks,
// and may not read a clock: the caller looks at the workers several times a second and gives the time in milliseconds.
//
// The law. A job begins with one worker a core. Over a period (2 s and 4 chunks a worker at least) it is seen how much
// of their time workers wait for what more workers need not wait for as well: storage, the network, a sleep, but no
// lock. If they are busy a share b of it, cores / b workers keep the cores busy; where that is a quarter more than
// there are, the number grows, at most to the double. After a minute without a change, one worker less is tried. The
// period after each change judges it by the rows a second: growth stays when it brought a quarter of what it promised,
// one less stays when it cost no more than a twentieth. A change that is taken back is not tried again for a minute,
// then two, up to 16.
#pragma once

#include <algorithm>
#include <type_traits>

#include "core/no_postgres.hpp"

namespace stride::core {

// What is seen of a job's workers at one time.
struct WorkersLook {
    double now_ms;
    int workers;      // that run chunks
    int waiting;      // of these, for what more workers would not wait for as well
    bool throttled;   // something holds the job: what it does now tells nothing
    long long rows;   // done so far
    long long chunks; // done so far
};

class WorkerCount {
public:
    static constexpr double period_ms = 2000;
    static constexpr double longest_period_ms = 60000; // then chunks are so long that fewer must do
    static constexpr int chunks_per_worker = 4;
    static constexpr int least_looks = 8;
    static constexpr double worth_growing = 1.25; // times the present number
    static constexpr double promise_kept = 0.25;  // of the gain that more workers promise
    static constexpr double no_loss = 0.95;       // of the rate: a worker less that keeps it was of no use
    static constexpr double patience_ms = 60000;  // before a change that was taken back is tried again
    static constexpr double most_patience_ms = 16 * patience_ms;

    constexpr WorkerCount(int cores, int start) noexcept : cores_{std::max(1, cores)}, wanted_{std::max(1, start)} {}

    constexpr int wanted() const noexcept { return wanted_; }

    // No more than so many from now on.
    constexpr void limit(int most) noexcept {
        most_ = std::max(1, most);
        if (wanted_ > most_) settle(most_);
    }

    // Takes a look into account; wanted() may change with it.
    constexpr void look(const WorkersLook &seen) noexcept {
        const bool usable = seen.workers == wanted_ && !seen.throttled;
        if (looks_ > 0 && (!usable || seen.rows < first_.rows || seen.now_ms < first_.now_ms)) looks_ = 0;
        if (!usable) return;
        if (looks_ == 0) {
            first_ = seen;
            worker_looks_ = waiting_looks_ = 0;
        }
        looks_++;
        worker_looks_ += seen.workers;
        waiting_looks_ += seen.waiting;
        if (!is_over(seen)) return;
        const double rate = static_cast<double>(seen.rows - first_.rows) / (seen.now_ms - first_.now_ms);
        looks_ = 0;
        if (before_ == 0)
            choose(seen.now_ms, rate);
        else
            judge(seen.now_ms, rate);
    }

private:
    constexpr bool is_over(const WorkersLook &seen) const noexcept {
        const double passed_ms = seen.now_ms - first_.now_ms;
        if (passed_ms < period_ms || looks_ < least_looks) return false;
        return passed_ms >= longest_period_ms || seen.chunks - first_.chunks >= chunks_per_worker * wanted_;
    }

    // As many as keep the cores busy, by the period that is over.
    constexpr int filling() const noexcept {
        const double busy = 1.0 - static_cast<double>(waiting_looks_) / static_cast<double>(worker_looks_);
        const double least_busy = static_cast<double>(cores_) / (2.0 * wanted_); // the double is enough at a time
        return static_cast<int>(static_cast<double>(cores_) / std::max(busy, std::min(1.0, least_busy)));
    }

    constexpr void choose(double now_ms, double rate) noexcept {
        if (steady_since_ms_ < 0) steady_since_ms_ = now_ms;
        const int target = std::min({filling(), 2 * wanted_, most_});
        const bool grows = static_cast<double>(target) >= worth_growing * wanted_ && now_ms >= grow_after_ms_;
        const bool crowded = wanted_ > cores_ && filling() < wanted_;
        const bool tries_less =
            wanted_ > 1 && now_ms >= shrink_after_ms_ && (crowded || now_ms - steady_since_ms_ >= patience_ms);
        if (grows)
            change(target, rate);
        else if (tries_less)
            change(wanted_ - 1, rate);
    }

    constexpr void judge(double now_ms, double rate) noexcept {
        const double promised = static_cast<double>(wanted_) / before_ - 1;
        const double gained = rate_before_ > 0 ? rate / rate_before_ - 1 : promised;
        const bool grew = wanted_ > before_;
        const bool good = grew ? gained >= promise_kept * promised : 1 + gained >= no_loss;
        if (good) {
            (grew ? grow_patience_ms_ : shrink_patience_ms_) = patience_ms;
            // What was of no use is not brought back at once.
            if (!grew) grow_after_ms_ = now_ms + patience_ms;
            settle(wanted_);
            return;
        }
        double &patience = grew ? grow_patience_ms_ : shrink_patience_ms_;
        (grew ? grow_after_ms_ : shrink_after_ms_) = now_ms + patience;
        patience = std::min(2 * patience, most_patience_ms);
        settle(before_);
    }

    constexpr void change(int to, double rate) noexcept {
        before_ = wanted_;
        rate_before_ = rate;
        wanted_ = to;
    }

    constexpr void settle(int at) noexcept {
        wanted_ = std::min(at, most_);
        before_ = 0;
        looks_ = 0;
        steady_since_ms_ = -1;
    }

    int cores_;
    int wanted_;
    int most_ = 1 << 20;
    // The change that the present period judges: from how many, at what rate; 0 = none.
    int before_ = 0;
    double rate_before_ = 0;
    double steady_since_ms_ = -1; // -1 = not yet
    double grow_after_ms_ = 0;
    double shrink_after_ms_ = 0;
    double grow_patience_ms_ = patience_ms;
    double shrink_patience_ms_ = patience_ms;
    // The present period.
    WorkersLook first_{};
    int looks_ = 0;
    long long worker_looks_ = 0;
    long long waiting_looks_ = 0;
};

static_assert(std::is_trivially_copyable_v<WorkerCount> && std::is_trivially_destructible_v<WorkerCount>);

} // namespace stride::core
