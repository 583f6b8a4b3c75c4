// What a pipeline reads: a table, or the rows of a query, which are saved in a work table and then walked like one.
// Regime: pg.  Locks: AccessShareLock on what is read, AccessExclusiveLock on a new work table, to the end of the
// transaction. May not execute anything of the user's.
#pragma once

#include "catalog/work_table.hpp"
#include "job/submission.hpp"
#include "pipeline/arguments.hpp"

namespace stride::pipeline {

struct Source {
    Relation relation;                    // the table, or the work table
    List *columns;                        // List of char *: those that transforms see
    const char *name;                     // of the table, view or foreign table that was given; nullptr = a query
    const catalog::WorkTable *work_table; // nullptr = a table
};

// Whether the rows are saved first: those of source_query, of a view, of a foreign table without a key; with walk =>
// 'spool' also those of a table that has no key.
bool saves_rows(const Arguments &arguments, const job::Arguments &common);

// Opens the source; where its rows are saved, makes the work table, still empty, in the current transaction.  Raises
// 22004 and 22023 for arguments that are missing or do not go together, 42P01 for a table that is gone, 42601 for a
// source_query that is none, 0A000 for one that cannot be saved and for what cannot be done with its rows, and what its
// analysis raises.
Source open_source(const Arguments &arguments, const job::Arguments &common, bool with_frozen_time);

// A table that was given by its oid; raises 42P01 if it is gone.
Relation open_argument(const char *argument, Oid oid);

// "schema.name", quoted.
char *qualified_name(Relation relation);

[[noreturn]] void refuse_missing(const char *argument, const char *hint);

} // namespace stride::pipeline
