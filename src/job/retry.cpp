// The work over another job's rejects.
// Regime: pg.
#include "job/retry.hpp"

#include "catalog/leaf.hpp"

namespace stride::job {
namespace {

constexpr int64 most_keys = 100;       // a chunk: each is an arm of a condition
constexpr int64 rejects_a_split = 100; // at least, but for the last
constexpr int splits_a_worker = 4;

// The splits of one leaf, at most `most_splits`; *splits and *ordinal count over all leaves.
void plan_leaf(const catalog::Job &job, int32 leaf, int most_splits, int32 *splits, int32 *ordinal) {
    const List *parts = catalog::cut_rejects(job.retry_of, leaf, rejects_a_split, most_splits);
    catalog::NewSplit fresh = {};
    fresh.leaf = leaf;
    fresh.lower_sample = (*ordinal)++;
    for (int i = 0; i < list_length(parts); i++) {
        const catalog::RejectPart *part = static_cast<catalog::RejectPart *>(list_nth(parts, i));
        fresh.upper = catalog::number_key(part->last);
        fresh.upper_sample = (*ordinal)++;
        fresh.rows_estimate = part->count;
        catalog::insert_split(job.job_id, ++*splits, fresh);
        fresh.lower = fresh.upper;
        fresh.lower_sample = fresh.upper_sample;
    }
}

} // namespace

void plan_retry(const catalog::Job &job, int workers) {
    int32 splits = 0;
    int32 ordinal = 0;
    ListCell *cell;
    foreach (cell, catalog::leaves_of(job.retry_of)) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        catalog::insert_leaf(job.job_id, *leaf);
        if (leaf->walked) plan_leaf(job, leaf->leaf, splits_a_worker * Max(1, workers), &splits, &ordinal);
    }
    if (splits == 0) catalog::insert_empty_plan(job.job_id);
}

chunk::Reach RetryStatement::reach(ArrayType *position, ArrayType *upper, int64 limit) {
    const int64 wanted = Min(limit, most_keys);
    rejects =
        catalog::read_rejects(job.retry_of, leaf, catalog::key_number(position), catalog::key_number(upper), wanted);
    if (rejects.count > 0) {
        Relation source = table_open(job.source, NoLock);
        (void)lock_driving_rows(source, qual(1, nullptr, nullptr));
        table_close(source, NoLock);
    }
    ArrayType *last = rejects.count > 0 ? catalog::number_key(DatumGetInt64(rejects.ids[rejects.count - 1])) : nullptr;
    const bool reached_end = rejects.count < wanted;
    return chunk::Reach{rejects.count, reached_end ? upper : last, last, reached_end};
}

Node *RetryStatement::qual(int varno, ArrayType *, ArrayType *) const {
    return walk::keys_qual(key, varno, rejects.keys);
}

void RetryStatement::settle() {
    if (rejects.count > 0) catalog::delete_rejects(rejects);
}

void RetryStatement::keep_aside(const catalog::Reject &reject) {
    catalog::fail_reject(DatumGetInt64(rejects.ids[0]), reject);
}

} // namespace stride::job
