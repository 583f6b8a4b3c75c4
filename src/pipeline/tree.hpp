// Raw parse trees, node by node: what the grammar would make of the SQL in each comment.  Names are never looked up
// here, and no node has a location, so that errors do not point into text that nobody wrote.
// Regime: pg.  Locks: none.
#pragma once

#include "pg/pg.hpp"

namespace stride::pipeline {

// a.b; a.*, the whole row where an expression is expected; a cast; (a.b).c
Node *column(const char *table, const char *name);
Node *whole_row(const char *table);
Node *whole_row_value(const char *table, Relation relation);
Node *row_value(const char *table, List *names, Oid type); // ROW(a.b, ..)::type
Node *field(const char *table, const char *name, const char *of_composite);

// Constants, pg_catalog's operators and functions, and a call of any function.
Node *integer(int value);
Node *null_value();
Node *operation(Node *left, const char *name, Node *right);
Node *call(List *name, Node *argument);
List *catalog_name(const char *name);
Node *is_not_null(Node *value); // value IS DISTINCT FROM NULL
Node *both(Node *left, Node *right);

// value AS name, and the same for a list of names: table.name AS name
ResTarget *target(Node *value, const char *name);
List *columns(const char *table, List *names);

// FROM schema.relation AS alias; a WITH query by its name; (query) AS alias
RangeVar *table(Relation relation, const char *alias);
Node *with_query(const char *name);
Node *subquery(SelectStmt *query, const char *alias);

// SELECT targets FROM item
SelectStmt *select(List *targets, Node *item);

// query OFFSET 0: keeps the level apart from the one above it, so that a function in it is called once a row
SelectStmt *fenced(SelectStmt *query);

// DELETE .. RETURNING targets
void set_returning(DeleteStmt *statement, List *targets);

// WITH name AS (query)
WithClause *with(const char *name, Node *query);

} // namespace stride::pipeline
