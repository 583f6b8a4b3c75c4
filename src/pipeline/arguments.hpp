// The arguments of stride.submit_pipeline that no other submission has.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::pipeline {

// nullptr, InvalidOid and the has_ fields stand for NULL.
struct Arguments {
    Oid target;
    Oid source;
    char *source_query;
    char *transform;
    char *transform_query;
    char *on_conflict;
    ArrayType *conflict_columns;
    ArrayType *update_columns;
    char *update_set;
    bool has_delete_source;
    bool delete_source;
    char *indexes;
};

} // namespace stride::pipeline
