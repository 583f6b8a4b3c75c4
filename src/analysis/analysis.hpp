// The pieces that analyse() is made of, one file each: walking trees, choosing the driver, the refusals, MERGE's rules,
// frozen time, and warnings.  Used by job/ only.
// Regime: pg.  Locks: none beyond those of parse analysis; catalog look-ups only.  May not execute anything of the
// user's.
#pragma once

#include "analysis/statement.hpp"
#include "pg/tree.hpp"

namespace stride::analysis {

using pg::find_node;
using pg::for_each_query;
using pg::Mutator;
using pg::walk_expression;
using pg::walk_query;
using pg::Walker;

// The entry at a one-based range table index.
RangeTblEntry *entry_at(Query *query, int rtindex);

// "schema.name", quoted where needed, for messages.
char *relation_name(Oid relation);

// The columns that the statement assigns in its target, offset by FirstLowInvalidHeapAttributeNumber.
Bitmapset *assigned_columns(Query *query);

// Parses what deparse() gave.
Parsed parse_deparsed(const char *sql);

// The relation and all that a read of it reaches: its inheritance children, if `inherited`.
List *relation_and_children(Oid relation, bool inherited);

// A copy of the query behind a view; the view stays locked.
Query *view_query(Oid view);

// True for OLD and NEW in a view's query (15), the view itself: named there, but not read.
inline bool is_view_itself(const RangeTblEntry *rte, Oid view) {
    return rte->relid == view;
}

// ---- driver.cpp: which table reference the statement is driven by.

enum class Obstacle : unsigned char {
    none,
    set_operation,
    limit,
    distinct,
    window,
    aggregate,
    having,
    outer_join,
    shared_cte,
    recursive_cte
};

// A table reference in FROM, reached through subqueries and CTEs; `obstacle` is the outermost reason, if any, why a
// range on it would change the statement's answer.
struct Candidate {
    Query *level;
    int rtindex;
    Obstacle obstacle;
};

inline RangeTblEntry *entry_of(const Candidate &candidate) {
    return entry_at(candidate.level, candidate.rtindex);
}

// The query that a CTE reference means, and the levels above it (List of Query *, outermost first) in *above; `levels`
// are those at the reference.  nullptr where it is recursive, or refers to itself.
Query *cte_query(List *levels, const RangeTblEntry *rte, List **above);

// True if the level gives the same rows for parts of its input as for the whole: no set operation, LIMIT, DISTINCT,
// window function, aggregate or HAVING.
bool is_simple_level(const Query *level);

// All candidates as a List of Candidate *, always in the same order for the same tree.  UPDATE and DELETE have one.
List *candidates(Query *query);

// The candidate that drives the statement; raises the refusals of design.md section 3 that concern its place, unless
// the levels over it are ours.
const Candidate *choose_driver(Query *query, List *found, const AnalysisOptions &options);

// What would drive an INSERT .. SELECT, SELECT or MERGE that takes its rows from where no key is: a foreign table, or
// one with such a table beneath it that is read, or, where no table can drive the statement, a view, function or list
// of values.  Where it `spools`, as the submitter has said, also a table without an index that could be a key, and at last
// the SELECT of an INSERT itself, or the source of a MERGE: whatever stands in the way of parts of it, and where ON
// compares no unique key of the source's tables.
// nullptr if a table with a key is to drive it, or nothing can.  Raises as choose_driver() does for the place of it.
const Candidate *choose_keyless_driver(Query *query, const char *source_alias, bool spools);

// ---- safety.cpp: the refusals.  All raise 0A000 unless said otherwise, with DETAIL and HINT.

[[noreturn]] void refuse(const char *detail, const char *hint);

void refuse_command(const RawStmt *raw);
void refuse_old_merge(const Query *query);
void refuse_returning(const Query *query);
void refuse_modifying_ctes(Query *query);
void refuse_skip_locked(Query *query);
void refuse_current_of(Query *query);
void refuse_values(Query *query);
void refuse_idle_select(Query *query);
void refuse_target_kind(const Query *query, Oid target); // 42809
void refuse_rules(Oid target);
void refuse_perishable_target(Oid target, bool at_least_once);
void refuse_system_relation(Oid relation, const char *role);
void refuse_private_relations(List *relations, Oid own);
void refuse_temporary_functions(Query *query);
void refuse_driver_kind(const RangeTblEntry *rte, bool key_is_named);
void refuse_self_reference(Query *query, const Statement &statement, bool with_children, bool per_chunk);
void refuse_foreign_delete(const RangeTblEntry *rte);
void refuse_second_read(Query *query, const Candidate &driver); // of a source that is deleted from as it is read
void refuse_partition_key_update(Oid target, const Bitmapset *updated);

// 42501 where the executor would raise it: tables, columns and functions at every level.
void check_privileges(Query *query);

// ---- merge_check.cpp: raises if the chunks of a MERGE could meet in one target row.
void check_merge(Query *query, const RangeTblEntry *driver, ArrayType *key);

// Whether ON compares a unique key of each table of the source, so that a target row meets one source row at most.
bool has_unique_source(Query *merge);

// ---- driving_rows.cpp

// Whether a query means the same without the levels around it.
bool stands_alone(Query *query);

// ---- filtered_source.cpp: a subquery in the place of a table reference, whose number does not change.  Not for one
// whose system columns are read.

// SELECT columns FROM the one entry of the range table WHERE qual
Query *select_from(List *rtable, List *columns, Node *qual);

// SELECT * FROM table WHERE qual
void filter_source(Query *query, int rtindex, Node *qual);

// The columns of a table reference, the dropped ones too, as Vars of it or NULLs; *names are their names, "" for those.
List *columns_of(RangeTblEntry *entry, int rtindex, List **names);

// Its rows from the work table, which has the given columns of them after its ordinal, in that order (IntList of
// attribute numbers); the others are NULL.
void read_saved_rows(Query *level, int rtindex, Oid work_table, const List *columns);

// Raise 0A000.
void refuse_system_columns(Query *level, int rtindex);
void refuse_source_system_columns(Query *query, const Candidate &driver);

// ---- freeze_time.cpp

// now(), transaction_timestamp(), statement_timestamp(), age() of one argument, and the CURRENT_* and LOCAL* forms.
bool is_time_function(const Node *node);

// A copy of the tree in which they are constants: the start of the current transaction.  Raises 0A000 where one of them
// is an item of FROM.
Query *freeze_time(Query *query);

// ---- warnings.cpp: sentences (List of char *) on what is allowed but may surprise.
List *collect_warnings(Query *query, const Statement &statement, const AnalysisOptions &options);

} // namespace stride::analysis
