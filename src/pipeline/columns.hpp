// What is written: a transform's columns matched with the target's by name, and what becomes of rows that meet a unique
// key.
// Regime: pg.  Locks: the caller holds one on the target.
#pragma once

#include "pipeline/arguments.hpp"

namespace stride::pipeline {

// Column names (List of char *) of a table or row type, and of an analysed query's result.
List *descriptor_columns(TupleDesc descriptor);
List *query_columns(const Query *query);

bool has_name(List *names, const char *name);

// Those of the given columns that are written: all but generated columns and identity columns GENERATED ALWAYS.
// `giver` says in errors whose columns they are.  Raises 42703 with both lists for a column that the target has not,
// 42701 for one that is given twice, 42P10 if nothing is left.
List *written_columns(Relation target, List *given, const char *giver);

struct Conflict {
    OnConflictAction action;
    List *key;     // List of char *: the columns of the unique key; NIL with ONCONFLICT_NOTHING = any
    List *updates; // List of char *: the columns that DO UPDATE takes from the new row
};

// Raises 22023 for arguments that do not go together, 42703 for unknown columns, 42P10 for columns without a unique
// index.
Conflict resolve_conflict(Relation target, List *written, const Arguments &arguments);

// Whether the columns hold a unique key of the table without NULLs: two of its rows never agree in them.
bool hold_unique_key(Relation relation, List *names);

} // namespace stride::pipeline
