// Registered transforms: which functions can be one, and what they take and give.
// Regime: pg.  Locks: none.  Never calls the function.
#pragma once

#include "pg/pg.hpp"

namespace stride::pipeline {

enum class TransformKind : unsigned char {
    row,     // f(source_row) RETURNS target_row: one call a row, NULL leaves the row out
    row_set, // f(source_row) RETURNS SETOF target_row
    chunk    // f(source_row[]) RETURNS SETOF target_row: one call a batch
};

struct Transform {
    const char *name; // as registered
    Oid function;
    TransformKind kind;
    Oid source; // the relation whose row type it takes
    Oid result_type;
    TupleDesc result; // the columns it gives
};

} // namespace stride::pipeline
