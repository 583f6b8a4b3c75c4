// Raw parse trees.
// Regime: pg.
#include "pipeline/tree.hpp"

namespace stride::pipeline {
namespace {

constexpr int nowhere = -1;

Node *name_node(const char *name) {
    return reinterpret_cast<Node *>(makeString(pstrdup(name)));
}

Node *reference(List *fields) {
    ColumnRef *reference = makeNode(ColumnRef);
    reference->fields = fields;
    reference->location = nowhere;
    return reinterpret_cast<Node *>(reference);
}

} // namespace

Node *column(const char *table, const char *name) {
    return reference(list_make2(name_node(table), name_node(name)));
}

Node *whole_row(const char *table) {
    return reference(list_make2(name_node(table), makeNode(A_Star)));
}

Node *whole_row_value(const char *table, Relation relation) {
    TypeCast *cast = makeNode(TypeCast);
    cast->arg = whole_row(table);
    cast->typeName = makeTypeNameFromNameList(list_make2(name_node(get_namespace_name(RelationGetNamespace(relation))),
                                                         name_node(RelationGetRelationName(relation))));
    cast->location = nowhere;
    return reinterpret_cast<Node *>(cast);
}

Node *row_value(const char *table, List *names, Oid type) {
    RowExpr *row = makeNode(RowExpr);
    ListCell *cell;
    foreach (cell, names)
        row->args = lappend(row->args, column(table, static_cast<const char *>(lfirst(cell))));
    row->row_format = COERCE_EXPLICIT_CALL;
    row->location = nowhere;
    TypeCast *cast = makeNode(TypeCast);
    cast->arg = reinterpret_cast<Node *>(row);
    cast->typeName = makeTypeNameFromOid(type, -1);
    cast->location = nowhere;
    return reinterpret_cast<Node *>(cast);
}

Node *field(const char *table, const char *name, const char *of_composite) {
    A_Indirection *indirection = makeNode(A_Indirection);
    indirection->arg = column(table, name);
    indirection->indirection = list_make1(name_node(of_composite));
    return reinterpret_cast<Node *>(indirection);
}

Node *integer(int value) {
    A_Const *constant = makeNode(A_Const);
    constant->val.ival.type = T_Integer;
    constant->val.ival.ival = value;
    constant->location = nowhere;
    return reinterpret_cast<Node *>(constant);
}

Node *null_value() {
    A_Const *constant = makeNode(A_Const);
    constant->isnull = true;
    constant->location = nowhere;
    return reinterpret_cast<Node *>(constant);
}

List *catalog_name(const char *name) {
    return list_make2(name_node("pg_catalog"), name_node(name));
}

Node *operation(Node *left, const char *name, Node *right) {
    return reinterpret_cast<Node *>(makeA_Expr(AEXPR_OP, catalog_name(name), left, right, nowhere));
}

Node *call(List *name, Node *argument) {
    return reinterpret_cast<Node *>(makeFuncCall(name, list_make1(argument), COERCE_EXPLICIT_CALL, nowhere));
}

Node *is_not_null(Node *value) {
    return reinterpret_cast<Node *>(makeSimpleA_Expr(AEXPR_DISTINCT, pstrdup("="), value, null_value(), nowhere));
}

Node *both(Node *left, Node *right) {
    return reinterpret_cast<Node *>(makeBoolExpr(AND_EXPR, list_make2(left, right), nowhere));
}

ResTarget *target(Node *value, const char *name) {
    ResTarget *target = makeNode(ResTarget);
    target->name = name == nullptr ? nullptr : pstrdup(name);
    target->val = value;
    target->location = nowhere;
    return target;
}

List *columns(const char *table, List *names) {
    List *targets = NIL;
    ListCell *cell;
    foreach (cell, names) {
        const char *name = static_cast<const char *>(lfirst(cell));
        targets = lappend(targets, target(column(table, name), name));
    }
    return targets;
}

RangeVar *table(Relation relation, const char *alias) {
    RangeVar *table = makeRangeVar(get_namespace_name(RelationGetNamespace(relation)),
                                   pstrdup(RelationGetRelationName(relation)), nowhere);
    if (alias != nullptr) table->alias = makeAlias(alias, NIL);
    return table;
}

Node *with_query(const char *name) {
    return reinterpret_cast<Node *>(makeRangeVar(nullptr, pstrdup(name), nowhere));
}

Node *subquery(SelectStmt *query, const char *alias) {
    RangeSubselect *item = makeNode(RangeSubselect);
    item->subquery = reinterpret_cast<Node *>(query);
    item->alias = makeAlias(alias, NIL);
    return reinterpret_cast<Node *>(item);
}

SelectStmt *select(List *targets, Node *item) {
    SelectStmt *query = makeNode(SelectStmt);
    query->targetList = targets;
    if (item != nullptr) query->fromClause = list_make1(item);
    query->op = SETOP_NONE;
    return query;
}

SelectStmt *fenced(SelectStmt *query) {
    query->limitOffset = integer(0);
    query->limitOption = LIMIT_OPTION_COUNT;
    return query;
}

void set_returning(DeleteStmt *statement, List *targets) {
#if PG_VERSION_NUM >= 180000
    statement->returningClause = makeNode(ReturningClause);
    statement->returningClause->exprs = targets;
#else
    statement->returningList = targets;
#endif
}

WithClause *with(const char *name, Node *query) {
    CommonTableExpr *expression = makeNode(CommonTableExpr);
    expression->ctename = pstrdup(name);
    expression->ctematerialized = CTEMaterializeDefault;
    expression->ctequery = query;
    expression->location = nowhere;
    WithClause *clause = makeNode(WithClause);
    clause->ctes = list_make1(expression);
    clause->location = nowhere;
    return clause;
}

} // namespace stride::pipeline
