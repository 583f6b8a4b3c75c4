// One child table in the place of its parent in a query: a partition, or a table that inherits, read or written as it
// is when the parent is named.
// Regime: pg.  Locks: the caller holds the lock that the query needs on parent and child.  May not execute anything.
// Done after rewriting, so that the parent's row security has been applied already, and as the planner expands a
// parent: the child's columns are found by name, permissions are checked on the parent, and a written child has the
// parent as its root, whose statement triggers fire.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

// What is to be read where a query names `parent`; the two are equal for a table that is read without its children.
struct ChildTable {
    Oid parent;
    Oid child;
};

// A table reference that is found again after rewriting and planning, which copy trees.  Lives as long as the planning.
struct MarkedTable {
    const char *alias; // its alias in the query, to be given back
    ChildTable table;
    int number; // among those of the query
};

// Marks an entry of an analysed query that is not rewritten yet; `number` tells it from other marked ones of the query.
MarkedTable mark_table(RangeTblEntry *entry, const ChildTable &table, int number);

// Puts the child where the mark is, in a rewritten query; the query is changed in place.  Raises XX000 unless the mark
// is there exactly once.
void put_child(Query *query, const MarkedTable &marked);

// Completes a plan of that query: root tables of writes, permissions, aliases.
void complete_child_plan(PlannedStmt *plan, const MarkedTable &marked);

} // namespace stride::pg
