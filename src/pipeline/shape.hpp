// The INSERT that a pipeline is compiled to, as a raw parse tree.
// Regime: pg.  Locks: the caller holds one on source and target.
#pragma once

#include "pipeline/columns.hpp"
#include "pipeline/transform.hpp"
#include "pipeline/user_sql.hpp"
#include "walk/key.hpp"

namespace stride::pipeline {

// The alias of the driving relation in every shape, and that of the source where it is only deleted from.
constexpr const char *driver_alias = "chunk";

struct Shape {
    Relation source; // the table, or the work table
    List *columns;   // List of char *: those of it that the transform sees
    bool saved;      // it is a work table: what transforms see is not its row, but a row of these columns
    Relation target;
    List *written;             // List of char *: the columns inserted, in the order in which the transform gives them
    const Transform *function; // nullptr = none
    int batch_rows;            // rows of one call of a chunk function
    SelectStmt *query;         // the user's transform_query, nullptr = none
    bool picks_columns;        // it gives columns that are not written
    const Conflict *conflict;
    List *assignments; // the user's update_set, NIL = none
    bool deletes_source;
    const walk::Key *order; // rows come in the order of this key; nullptr = in any
};

RawStmt *build_insert(const Shape &shape);

// SELECT .. FROM source AS chunk: the relation chunk of a transform_query.
SelectStmt *select_chunk(const Shape &shape);

} // namespace stride::pipeline
