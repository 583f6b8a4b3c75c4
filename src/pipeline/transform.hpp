// Transforms: which functions can be one, what they take and give, and whether a job's still is what it was.
// Regime: pg.  Locks: none.  Never calls the function.
#pragma once

#include "catalog/job.hpp"
#include "catalog/transform.hpp"

namespace stride::pipeline {

enum class TransformKind : unsigned char {
    row,     // f(source_row) RETURNS target_row: one call a row, NULL leaves the row out
    row_set, // f(source_row) RETURNS SETOF target_row
    chunk    // f(source_row[]) RETURNS SETOF target_row: one call a batch
};

// "row", "row set", "chunk".
const char *kind_name(TransformKind kind);

struct Transform {
    Oid function;
    TransformKind kind;
    Oid row_type; // of the row that it takes, or of the array of rows
    catalog::FunctionName name;
    TupleDesc result; // the columns it gives
};

// The function as a transform of the role `caller`.  Raises 42883 if there is none, 42809 for procedures, aggregates
// and window functions, 42804 for types that are none of a transform, 42501 without EXECUTE, 0A000 for a temporary one.
Transform require_function(Oid function, Oid caller);

// The current user's transform of that name, over the source: one that takes the rows of a table, or, where the source
// is a work table, any row of the columns that were saved.  Raises besides 42704 for an unknown name, 42804 for another
// source.
Transform require_transform(const char *name, Relation source);

// Looks the function of a job's transform up by its name and pins it in *job; not yet stored.  Returns why it cannot be
// the job's transform any more, nullptr if it can (or there is none).
const char *pin_transform(catalog::Job *job);

// At the start of a worker: raises 55000 if the function of the job's transform was replaced or dropped, or what
// require_function() raises.
void check_transform(const catalog::Job &job);

} // namespace stride::pipeline
