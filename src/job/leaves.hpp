// The tables that a job walks for its source: found when it is planned, compared at every chunk.
// Regime: pg.  Locks: AccessShareLock on the source's tree.  May not run a query of the user's.
#pragma once

#include "analysis/statement.hpp"
#include "catalog/job.hpp"
#include "catalog/leaf.hpp"
#include "settings/settings.hpp"
#include "walk/key.hpp"

namespace stride::job {

// What a job's source is, in an analysed statement.
struct Source {
    Oid relation;
    bool with_children; // named without ONLY
    bool by_blocks;
    Bitmapset *updated; // columns of it that the statement updates, offset by FirstLowInvalidHeapAttributeNumber
};
Source source_of(Query *query, Oid relation, const char *alias, bool by_blocks);

// The tables below the source, or itself, each with its best key (List of catalog::Leaf *).  Those that the plan of the
// whole statement does not read are not walked.  Raises 55000 where one has no key, 0A000 for a foreign table without a
// wanted key, or where the statement updates a column of a key.
List *find_leaves(const Source &source, const PlannedStmt *whole, ArrayType *wanted_key);

// The same for a stored job, when it is planned.
List *find_leaves_of(const catalog::Job &job);

// Raises 55000 if the leaf is no longer part of the job's source, or if another table has become part of it (unless the
// setting new_partitions lets it pass).  The tree, which may have thousands of tables, is read again only after one of the
// database has changed.
void require_same_tree(const catalog::Job &job, const catalog::Leaf &leaf, const settings::Settings &settings);

// The leaf's key; raises 55000 if it is not what it was.
walk::Key require_same_key(const catalog::Job &job, const catalog::Leaf &leaf);

// Whether each chunk of the leaf reads all of its rows: a foreign table that does not give them in the order of the
// key.
bool is_read_whole_each_time(const catalog::Job &job, const catalog::Leaf &leaf);

// Orders positions of a job's leaves (compare_positions is a catalog::CompareKeys); the key of the leaf asked for last
// is kept.
struct PositionOrder {
    const catalog::Job *job;
    int32 leaf; // 0 = none yet
    walk::Key key;
};
int compare_positions(int32 leaf, ArrayType *a, ArrayType *b, void *order);

// The job's tables are not what they were.
[[noreturn]] void raise_source_changed(const catalog::Job &job, const char *detail);

// "schema.name" of a relation, quoted.
char *qualified_name(Oid relation);

} // namespace stride::job
