// The plan of a job.
// Regime: pg.
#include "walk/splits.hpp"

#include <span>

#include "catalog/split.hpp"
#include "catalog/work_table.hpp"
#include "core/chunk_sizer.hpp"
#include "core/split_plan.hpp"
#include "walk/spool.hpp"

namespace stride::walk {
namespace {

constexpr int wanted_samples = 1000;
constexpr int64 saved_keys_a_split = 100;   // at least
constexpr BlockNumber sampled_blocks = 400; // 3 MB to read before the first chunk

// What a job's leaves share in proportion to their size, and how much of it is used up.
struct Planning {
    int64 job_id;
    Oid source;
    ArrayType *wanted_key;
    double pages; // of all leaves
    int workers;
    int64 chunk_rows; // of a first chunk
    int splits;
    int next_ordinal;
};

// Of a foreign table, what ANALYZE knows of it.
double pages_of(Relation relation) {
    if (relation->rd_rel->relkind == RELKIND_FOREIGN_TABLE) return Max(1.0, relation->rd_rel->relpages);
    return 1.0 + RelationGetNumberOfBlocks(relation);
}

// Cuts the sampled keys of a leaf into splits: bounds are sampled keys, the last bound is the walk's end.
void write_splits(Planning *planning, int32 leaf, const Sample &sample, int nkeys, int wanted) {
    const int count = core::split_count(nkeys, wanted);
    int *upper = static_cast<int *>(palloc(sizeof(int) * static_cast<Size>(count)));
    (void)core::plan_splits(nkeys, wanted, std::span<int>(upper, static_cast<std::size_t>(count)));
    const double rows_a_gap = sample.rows_estimate / (nkeys + 1);
    int lower_ordinal = -1;
    for (int i = 0; i < count; i++) {
        catalog::NewSplit fresh = {};
        fresh.leaf = leaf;
        fresh.lower = lower_ordinal < 0 ? nullptr : sample.keys[lower_ordinal];
        fresh.upper = upper[i] >= nkeys ? sample.upper : sample.keys[upper[i]];
        fresh.lower_sample = planning->next_ordinal + lower_ordinal;
        fresh.upper_sample = planning->next_ordinal + upper[i];
        fresh.rows_estimate = static_cast<int64>(rows_a_gap * (upper[i] - lower_ordinal));
        catalog::insert_split(planning->job_id, ++planning->splits, fresh);
        lower_ordinal = upper[i];
    }
}

void write_plan(Planning *planning, const catalog::Leaf &leaf, const Sample &sample, int nkeys, int wanted) {
    for (int i = 0; i < nkeys; i++)
        catalog::insert_sample(planning->job_id, planning->next_ordinal + i, sample.keys[i]);
    write_splits(planning, leaf.leaf, sample, nkeys, wanted);
    planning->next_ordinal += nkeys + 2;
}

void plan_leaf(Planning *planning, Relation source, const catalog::Leaf &leaf) {
    Relation relation = table_open(leaf.relation, AccessShareLock);
    const Key key = load_key(relation, planning->source, leaf.key_index, planning->wanted_key);
    const double share = pages_of(relation) / planning->pages;
    const int wanted = static_cast<int>(wanted_samples * share);
    const Sample sample =
        catalog::is_work_table(leaf.relation)
            ? sample_ordinals(source, key, wanted)
            : sample_keys(source, relation, key, wanted, static_cast<BlockNumber>(1 + sampled_blocks * share));
    if (sample.upper != nullptr) {
        // The greatest key may be in the sample; it is the walk's end and must not be a bound before it.
        int nkeys = sample.nkeys;
        while (nkeys > 0 && compare_keys(key, sample.keys[nkeys - 1], sample.upper) >= 0)
            nkeys--;
        const int splits = core::wanted_splits(sample.rows_estimate / share, planning->chunk_rows, planning->workers);
        write_plan(planning, leaf, sample, nkeys, static_cast<int>(splits * share + 0.5));
    }
    table_close(relation, NoLock);
}

int64 first_chunk_rows(const catalog::Job &job) {
    return job.chunk_rows > 0 ? job.chunk_rows : core::ChunkSizer::start_rows;
}

double pages_of_all(List *leaves) {
    double pages = 0;
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        if (!leaf->walked) continue;
        Relation relation = table_open(leaf->relation, AccessShareLock);
        pages += pages_of(relation);
        table_close(relation, NoLock);
    }
    return pages;
}

} // namespace

double estimate_rows(List *leaves) {
    double rows = 0;
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        if (!leaf->walked) continue;
        Relation relation = table_open(leaf->relation, AccessShareLock);
        rows += estimate_rows(relation);
        table_close(relation, NoLock);
    }
    return rows;
}

void plan_splits(const catalog::Job &job, List *leaves, int workers) {
    Planning planning = {job.job_id, job.source, job.wanted_key, pages_of_all(leaves), workers, first_chunk_rows(job),
                         0,          0};
    Relation source = table_open(job.source, AccessShareLock);
    PushActiveSnapshot(GetTransactionSnapshot());
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        CHECK_FOR_INTERRUPTS();
        catalog::insert_leaf(job.job_id, *leaf);
        if (leaf->walked) plan_leaf(&planning, source, *leaf);
    }
    PopActiveSnapshot();
    if (planning.splits == 0) catalog::insert_empty_plan(job.job_id);
    table_close(source, NoLock);
}

void plan_saved_keys(const catalog::Job &job, List *leaves, const int64 *saved, int workers) {
    double all = 0;
    for (int i = 0; i < list_length(leaves); i++)
        all += static_cast<double>(saved[i]);
    const int64 chunk_rows = first_chunk_rows(job);
    Planning planning = {job.job_id, job.source, job.wanted_key, 0, workers, chunk_rows, 0, 0};
    const int splits = core::wanted_splits(all, chunk_rows, workers);
    int64 before = 0;
    for (int i = 0; i < list_length(leaves); i++) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(list_nth(leaves, i));
        catalog::insert_leaf(job.job_id, *leaf);
        if (saved[i] == 0) continue;
        const double share = static_cast<double>(saved[i]) / all;
        const Sample sample = sample_between(before, before + saved[i], static_cast<int>(wanted_samples * share));
        const int wanted = static_cast<int>(splits * share + 0.5);
        write_plan(&planning, *leaf, sample, sample.nkeys,
                   static_cast<int>(Min(static_cast<int64>(wanted), 1 + saved[i] / saved_keys_a_split)));
        before += saved[i];
    }
    if (planning.splits == 0) catalog::insert_empty_plan(job.job_id);
}

} // namespace stride::walk
