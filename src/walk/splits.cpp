// The plan of a job.
// Regime: pg.
#include "walk/splits.hpp"

#include <span>

#include "catalog/split.hpp"
#include "core/split_plan.hpp"
#include "pg/session.hpp"
#include "walk/sample.hpp"

namespace stride::walk {
namespace {

constexpr int wanted_samples = 1000;
constexpr BlockNumber sampled_blocks = 400; // 3 MB to read before the first chunk

// Cuts the sampled keys into splits: bounds are sampled keys, the last bound is the walk's end.
void write_splits(int64 job_id, const Sample &sample, int nkeys, int wanted) {
    const int count = core::split_count(nkeys, wanted);
    int *upper = static_cast<int *>(palloc(sizeof(int) * static_cast<Size>(count)));
    (void)core::plan_splits(nkeys, wanted, std::span<int>(upper, static_cast<std::size_t>(count)));
    const double rows_a_gap = sample.rows_estimate / (nkeys + 1);
    int lower_ordinal = -1;
    for (int i = 0; i < count; i++) {
        catalog::NewSplit fresh = {};
        fresh.lower = lower_ordinal < 0 ? nullptr : sample.keys[lower_ordinal];
        fresh.upper = upper[i] >= nkeys ? sample.upper : sample.keys[upper[i]];
        fresh.lower_sample = lower_ordinal;
        fresh.upper_sample = upper[i];
        fresh.rows_estimate = static_cast<int64>(rows_a_gap * (upper[i] - lower_ordinal));
        catalog::insert_split(job_id, i + 1, fresh);
        lower_ordinal = upper[i];
    }
}

} // namespace

bool plan_splits(const catalog::Job &job, int workers) {
    if (catalog::has_plan(job.job_id)) return false;
    Relation source = table_open(job.source, AccessShareLock);
    const Key key = load_key(source, job.key_index);
    PushActiveSnapshot(GetTransactionSnapshot());
    const int nest_level = pg::pin_search_path();
    const Sample sample = sample_keys(source, key, wanted_samples, sampled_blocks);
    pg::unpin(nest_level);
    PopActiveSnapshot();
    if (sample.upper == nullptr) {
        catalog::insert_empty_plan(job.job_id);
    } else {
        // The greatest key may be in the sample; it is the walk's end and must not be a bound before it.
        int nkeys = sample.nkeys;
        while (nkeys > 0 && compare_keys(key, sample.keys[nkeys - 1], sample.upper) >= 0)
            nkeys--;
        for (int i = 0; i < nkeys; i++)
            catalog::insert_sample(job.job_id, i, sample.keys[i]);
        write_splits(job.job_id, sample, nkeys, core::splits_per_worker * Max(1, workers));
    }
    table_close(source, NoLock);
    return true;
}

} // namespace stride::walk
