// The SQL that a pipeline's user writes: source_query, transform_query and update_set, parsed each by itself, so that
// none can end its own syntax and begin another.
// Regime: pg.  Locks: none.  May not execute anything.
#pragma once

#include "analysis/statement.hpp"

namespace stride::pipeline {

// The name of the relation that a transform_query reads.
constexpr const char *chunk_name = "chunk";

// What the user wrote, parsed; nullptr and NIL for what was not given.
struct UserSql {
    SelectStmt *query; // a SELECT that reads the relation chunk exactly once
    List *assignments; // List of ResTarget *
    analysis::Texts texts;
};

// Raises 42601 for what is not one SELECT or not a list of assignments, 22023 for empty texts, 0A000 where chunk is
// read not at all, more than once, or by a WITH query of that name.
UserSql parse_user_sql(const char *transform_query, const char *update_set);

// Raises 0A000 for a transform_query that is understood, but not for chunks.
[[noreturn]] void refuse_query(const char *detail, const char *hint);

// A source_query: one SELECT, VALUES or TABLE.  Raises as above.
analysis::Parsed parse_source_query(const char *text);

// Why rows of chunk might not reach the result of the query, as DETAIL; nullptr if all of them do.
const char *row_loss(const SelectStmt *query);

} // namespace stride::pipeline
