// A statement job's work on one chunk: the stored statement with the chunk's range put into its tree.
// Regime: pg.  Locks: every relation of the statement, in OID order, then the table that is walked, then those that
// planning adds.
#pragma once

#include "catalog/job.hpp"
#include "settings/settings.hpp"
#include "chunk/transaction.hpp"
#include "walk/key.hpp"
#include "walk/plan.hpp"

namespace stride::job {

// Lives as long as the worker's job; the plan in it only as long as the chunk.
struct ChunkStatement : chunk::Work {
    ChunkStatement(const catalog::Job &of_job, const settings::Settings &with_settings)
        : job(of_job), settings(with_settings) {}

    void lock_and_check(const catalog::Split &split) override;
    chunk::Reach reach(ArrayType *position, ArrayType *upper, int64 limit) override;
    void plan(ArrayType *lower, ArrayType *upper) override;
    chunk::Outcomes run(sink::PhaseTimes *times) override;
    Jsonb *row(ArrayType *lower, ArrayType *upper) override;
    bool one_to_one() const override;

    const catalog::Job &job;
    const settings::Settings &settings;
    int32 leaf = 0; // the chunk's
    walk::Key key = {};
    PlannedStmt *planned = nullptr;
    QueryEnvironment *environment = nullptr; // what the statement reads besides tables

protected:
    ~ChunkStatement() = default;
    // The condition on the driving relation, at range table index `varno`, that picks the rows between two positions.
    virtual Node *qual(int varno, ArrayType *lower, ArrayType *upper) const;
    // How that condition is to reach the driving relation.
    virtual walk::Access access() const;
    // A function's rows are deleted by where they are, so that nobody may move them between its call and their
    // deletion: locks those that meet the condition (on range table index 1) and renews the active snapshot.  False,
    // and nothing is done, where no row is deleted after its function.
    bool lock_driving_rows(Relation driving, Node *condition);
    // A name may have been given to another table since submit; the plan must use exactly the tables that were bound
    // then.
    void require_bound_relations() const;
};

// The lock that a chunk takes on a relation of the job before it looks at anything.
LOCKMODE chunk_lock_mode(const catalog::Job &job, Oid relation);

} // namespace stride::job
