// The shapes of a pipeline.  In all of them the source is read once, under the alias chunk, and what stands over it
// gives the same for the chunks of its rows as for all of them, up to the cut of batches.
// Regime: pg.
#include "pipeline/shape.hpp"

#include "pipeline/tree.hpp"

namespace stride::pipeline {
namespace {

constexpr const char *gone = "gone";   // the source, where only its deletion is meant
constexpr const char *moved = "moved"; // the WITH query that deletes, and what it returns

Node *as_node(void *node) {
    return static_cast<Node *>(node);
}

// What a column of the order is called beside those that are written, by a name that none of them has.
const char *key_name(const Shape &shape, int i) {
    int number = i + 1;
    while (has_name(shape.written, psprintf("key %d", number)))
        number += shape.order->ncolumns;
    return psprintf("key %d", number);
}

char *source_column(const Shape &shape, int i) {
    return get_attname(RelationGetRelid(shape.source), shape.order->columns[i].attno, false);
}

// One key column in the order of its index: ORDER BY value USING operator NULLS ..
Node *sorted(const walk::KeyColumn &column, Node *value) {
    if (OidIsValid(column.collation) && column.collation != column.column_collation) {
        CollateClause *collate = makeNode(CollateClause);
        collate->arg = value;
        collate->collname = stringToQualifiedNameList(generate_collation_name(column.collation)
#if PG_VERSION_NUM >= 160000
                                                          ,
                                                      nullptr
#endif
        );
        collate->location = -1;
        value = as_node(collate);
    }
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(walk::key_operator(column, BTLessStrategyNumber)));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for an operator of a key");
    const Form_pg_operator form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
    SortBy *sort = makeNode(SortBy);
    sort->node = value;
    sort->sortby_dir = SORTBY_USING;
    sort->sortby_nulls = column.nulls_first ? SORTBY_NULLS_FIRST : SORTBY_NULLS_LAST;
    sort->useOp =
        list_make2(makeString(get_namespace_name(form->oprnamespace)), makeString(pstrdup(NameStr(form->oprname))));
    sort->location = -1;
    ReleaseSysCache(tuple);
    return as_node(sort);
}

Node *ascending(Node *value) {
    SortBy *sort = makeNode(SortBy);
    sort->node = value;
    sort->sortby_dir = SORTBY_DEFAULT;
    sort->sortby_nulls = SORTBY_NULLS_DEFAULT;
    sort->location = -1;
    return as_node(sort);
}

// The order of the walk, of rows that have the source's own columns, or those of the WITH query that returned them.
List *walk_order(const Shape &shape, const char *alias) {
    List *order = NIL;
    for (int i = 0; shape.order != nullptr && i < shape.order->ncolumns; i++) {
        const char *name = strcmp(alias, driver_alias) == 0 ? source_column(shape, i) : key_name(shape, i);
        order = lappend(order, sorted(shape.order->columns[i], column(alias, name)));
    }
    return order;
}

// alias.column AS "key n", for each column of the order.
List *order_columns(const Shape &shape, const char *alias) {
    List *targets = NIL;
    for (int i = 0; shape.order != nullptr && i < shape.order->ncolumns; i++) {
        const char *name = strcmp(alias, moved) == 0 ? key_name(shape, i) : source_column(shape, i);
        targets = lappend(targets, target(column(alias, name), key_name(shape, i)));
    }
    return targets;
}

// (alias.r).column for each column written.
List *result_columns(const Shape &shape, const char *alias) {
    List *targets = NIL;
    ListCell *cell;
    foreach (cell, shape.written) {
        const char *name = static_cast<const char *>(lfirst(cell));
        targets = lappend(targets, target(field(alias, "r", name), name));
    }
    return targets;
}

Node *source_item(const Shape &shape) {
    return as_node(table(shape.source, driver_alias));
}

// DELETE FROM source AS chunk RETURNING ..
DeleteStmt *delete_driver(const Shape &shape, List *returning) {
    DeleteStmt *statement = makeNode(DeleteStmt);
    statement->relation = table(shape.source, driver_alias);
    set_returning(statement, returning);
    return statement;
}

// What a function takes of one row: chunk.*; ROW(chunk.column, ..)::its type.
Node *function_argument(const Shape &shape) {
    return shape.saved ? row_value(driver_alias, shape.columns, shape.function->row_type) : whole_row(driver_alias);
}

// The same where it is a value of its own, which an array is made of.
Node *source_row(const Shape &shape) {
    return shape.saved ? function_argument(shape) : whole_row_value(driver_alias, shape.source);
}

Node *call_function(const Shape &shape, Node *argument) {
    List *name = list_make2(makeString(get_namespace_name(get_func_namespace(shape.function->function))),
                            makeString(get_func_name(shape.function->function)));
    return call(name, argument);
}

// ARRAY(SELECT s.r FROM (SELECT f(chunk.*) AS r) AS s WHERE s.r IS DISTINCT FROM NULL)
Node *all_results(const Shape &shape) {
    SelectStmt *calls = select(list_make1(target(call_function(shape, whole_row(driver_alias)), "r")), nullptr);
    SelectStmt *results = select(list_make1(target(column("s", "r"), "r")), subquery(calls, "s"));
    results->whereClause = is_not_null(column("s", "r"));
    SubLink *array = makeNode(SubLink);
    array->subLinkType = ARRAY_SUBLINK;
    array->subselect = as_node(results);
    array->location = -1;
    return as_node(array);
}

// SELECT (t.r).column .. FROM (calls) AS t WHERE t.r IS DISTINCT FROM NULL
SelectStmt *kept_results(const Shape &shape, SelectStmt *calls) {
    SelectStmt *rows = select(result_columns(shape, "t"), subquery(fenced(calls), "t"));
    rows->whereClause = is_not_null(column("t", "r"));
    return rows;
}

SelectStmt *row_calls(const Shape &shape) {
    SelectStmt *calls =
        select(list_make1(target(call_function(shape, function_argument(shape)), "r")), source_item(shape));
    calls->sortClause = walk_order(shape, driver_alias);
    return kept_results(shape, calls);
}

// One call of the function a batch of rows, in the order of the walk; `rows` is the item of FROM with that alias.
SelectStmt *batch_calls(const Shape &shape, Node *rows, const char *alias, Node *row) {
    FuncCall *number = makeFuncCall(catalog_name("row_number"), NIL, COERCE_EXPLICIT_CALL, -1);
    number->over = makeNode(WindowDef);
    number->over->frameOptions = FRAMEOPTION_DEFAULTS;
    number->over->orderClause = walk_order(shape, alias);
    number->over->location = -1;
    SelectStmt *numbered = select(list_make2(target(row, "r"), target(as_node(number), "position")), rows);

    FuncCall *together = reinterpret_cast<FuncCall *>(call(catalog_name("array_agg"), column("n", "r")));
    together->agg_order = list_make1(ascending(column("n", "position")));
    SelectStmt *batches = select(list_make1(target(as_node(together), "rows")), subquery(numbered, "n"));
    Node *batch = operation(operation(column("n", "position"), "-", integer(1)), "/", integer(shape.batch_rows));
    batches->groupClause = list_make1(batch);
    batches->sortClause = list_make1(ascending(static_cast<Node *>(copyObjectImpl(batch))));
    return kept_results(
        shape, select(list_make1(target(call_function(shape, column("b", "rows")), "r")), subquery(batches, "b")));
}

// DELETE FROM source AS gone USING (SELECT chunk.ctid AS tid, f(chunk.*) AS r FROM source AS chunk OFFSET 0) AS t
//  WHERE gone.ctid = t.tid AND t.r IS DISTINCT FROM NULL RETURNING t.r
// The chunk has locked the rows before, so that none of them can have another version.
DeleteStmt *delete_rows_with_results(const Shape &shape) {
    const bool set = shape.function->kind == TransformKind::row_set;
    Node *result = set ? all_results(shape) : call_function(shape, whole_row(driver_alias));
    SelectStmt *calls =
        select(list_make2(target(column(driver_alias, "ctid"), "tid"), target(result, "r")), source_item(shape));
    DeleteStmt *statement = makeNode(DeleteStmt);
    statement->relation = table(shape.source, gone);
    statement->usingClause = list_make1(subquery(fenced(calls), "t"));
    Node *has_result = set ? operation(call(catalog_name("cardinality"), column("t", "r")), ">", integer(0))
                           : is_not_null(column("t", "r"));
    statement->whereClause = both(operation(column(gone, "ctid"), "=", column("t", "tid")), has_result);
    set_returning(statement, lcons(target(column("t", "r"), "r"), order_columns(shape, gone)));
    return statement;
}

struct Rows {
    SelectStmt *query;
    WithClause *with; // nullptr = none
};

Rows moved_rows(const Shape &shape) {
    const bool by_chunk = shape.function != nullptr && shape.function->kind == TransformKind::chunk;
    if (shape.function == nullptr) {
        List *returning = list_concat(columns(driver_alias, shape.written), order_columns(shape, driver_alias));
        SelectStmt *query = select(columns(moved, shape.written), with_query(moved));
        query->sortClause = walk_order(shape, moved);
        return {query, with(moved, as_node(delete_driver(shape, returning)))};
    }
    if (by_chunk) {
        List *returning = lcons(target(source_row(shape), "r"), order_columns(shape, driver_alias));
        return {batch_calls(shape, with_query(moved), moved, column(moved, "r")),
                with(moved, as_node(delete_driver(shape, returning)))};
    }
    WithClause *clause = with(moved, as_node(delete_rows_with_results(shape)));
    if (shape.function->kind == TransformKind::row) {
        SelectStmt *query = select(result_columns(shape, moved), with_query(moved));
        query->sortClause = walk_order(shape, moved);
        return {query, clause};
    }
    List *unnested = list_make1(target(call(catalog_name("unnest"), column(moved, "r")), "r"));
    SelectStmt *each = select(list_concat(unnested, order_columns(shape, moved)), with_query(moved));
    SelectStmt *query = select(result_columns(shape, "u"), subquery(each, "u"));
    query->sortClause = walk_order(shape, "u");
    return {query, clause};
}

Rows query_rows(const Shape &shape) {
    // RETURNING has to name something.
    List *returning =
        shape.columns == NIL ? list_make1(target(null_value(), "nothing")) : columns(driver_alias, shape.columns);
    Node *chunk = shape.deletes_source ? as_node(delete_driver(shape, returning)) : as_node(select_chunk(shape));
    SelectStmt *query =
        shape.picks_columns ? select(columns("q", shape.written), subquery(shape.query, "q")) : shape.query;
    return {query, with(chunk_name, chunk)};
}

Rows build_rows(const Shape &shape) {
    if (shape.query != nullptr) return query_rows(shape);
    if (shape.deletes_source) return moved_rows(shape);
    if (shape.function == nullptr) {
        SelectStmt *query = select(columns(driver_alias, shape.written), source_item(shape));
        query->sortClause = walk_order(shape, driver_alias);
        return {query, nullptr};
    }
    if (shape.function->kind == TransformKind::chunk)
        return {batch_calls(shape, source_item(shape), driver_alias, source_row(shape)), nullptr};
    return {row_calls(shape), nullptr};
}

// ON CONFLICT (key) DO UPDATE SET column = excluded.column, ..
OnConflictClause *build_conflict(const Shape &shape) {
    const Conflict &conflict = *shape.conflict;
    if (conflict.action == ONCONFLICT_NONE) return nullptr;
    OnConflictClause *clause = makeNode(OnConflictClause);
    clause->action = conflict.action;
    clause->location = -1;
    ListCell *cell;
    if (conflict.key != NIL) {
        clause->infer = makeNode(InferClause);
        clause->infer->location = -1;
        foreach (cell, conflict.key) {
            IndexElem *element = makeNode(IndexElem);
            element->name = static_cast<char *>(lfirst(cell));
            clause->infer->indexElems = lappend(clause->infer->indexElems, element);
        }
    }
    clause->targetList = shape.assignments != NIL ? shape.assignments : columns("excluded", conflict.updates);
    return clause;
}

} // namespace

SelectStmt *select_chunk(const Shape &shape) {
    return select(columns(driver_alias, shape.columns), source_item(shape));
}

RawStmt *build_insert(const Shape &shape) {
    const Rows rows = build_rows(shape);
    InsertStmt *insert = makeNode(InsertStmt);
    insert->relation = table(shape.target, nullptr);
    ListCell *cell;
    foreach (cell, shape.written)
        insert->cols = lappend(insert->cols, target(nullptr, static_cast<const char *>(lfirst(cell))));
    insert->selectStmt = as_node(rows.query);
    insert->withClause = rows.with;
    insert->onConflictClause = build_conflict(shape);
    insert->override = OVERRIDING_NOT_SET;
    RawStmt *raw = makeNode(RawStmt);
    raw->stmt = as_node(insert);
    return raw;
}

} // namespace stride::pipeline
