// Work tables: what a job saves before it walks it, and stride_catalog.work_table, which says whose they are.  They are
// logged tables of the extension owner in the schema stride_work.  Nobody but our C code writes them; they are members
// of the extension, so that they go with it and stay out of dumps.
// Regime: pg.  Locks: AccessExclusiveLock on a work table that is made, emptied or dropped.
#pragma once

#include "pg/fixed.hpp"

namespace stride::catalog {

// The first column of a work table, its primary key: bigint, 1, 2, .. in the order in which its rows were saved.
constexpr AttrNumber ordinal_attno = 1;

// Makes an empty one, of an ordinal and the given columns, which the current user may read.  The ordinal has a name
// that none of the columns has.  Raises 25006 on a standby, 42P16 and 42701 for columns that no table can have.
Oid create_work_table(TupleDesc columns);

// Lets no two rows of one, made in the current transaction, agree in these columns (IntList of attribute numbers),
// unless one of them is NULL.
void make_unique(Oid work_table, const List *columns);

bool is_work_table(Oid relation);

// The names of the columns after the ordinal (List of char *).
List *saved_columns(Relation work_table);

// Throws away what attempts that failed have left in a work table, at once and for good; the caller holds a lock that
// keeps others from filling it, and knows that nobody has.
void empty_work_table(Relation work_table);

// Deletes its rows, in the current transaction; the caller knows that nobody adds one.
void delete_saved_rows(Oid work_table);

// A job's work table, and the query that fills it: as SQL with every name qualified, and the relations that it names,
// as oid[], ascending.  nullptr where the job saves something else than the rows of a query.
struct WorkTable {
    Oid relation;
    char *query;
    ArrayType *query_relations;
};
void insert_work_table(int64 job_id, const WorkTable &table);

// False if the job has none.
bool find_work_table(int64 job_id, WorkTable *found);

// Drops one that was made in the current transaction and is nobody's.
void discard_work_table(Oid relation);

// Drops those of jobs that succeeded and hold no rejects, and of jobs that are gone.  False if one is left, as somebody
// reads it: it is not waited for.
bool drop_unneeded_work_tables();

} // namespace stride::catalog
