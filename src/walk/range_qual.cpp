// The range of a chunk as qualifications of a query tree, built as the parser would build them.
// Regime: pg.  Takes no lock beyond what catalog look-ups take.  May not run a query.
#include "walk/key.hpp"

#include "pg/session.hpp"

namespace stride::walk {
namespace {

enum Side : int { lower_side = 0, upper_side = 1 };

struct Range {
    const Key *key;
    int varno;
    bool as_params; // bounds are Params instead of Consts
    bool bounded[2];
    Datum values[2][INDEX_MAX_KEYS];
    int shared; // leading columns on which lower and upper are equal
    bool empty;
};

// The column as the operators take it.
Expr *column_node(const Key &key, int varno, int column) {
    const KeyColumn &description = key.columns[column];
    auto *node = reinterpret_cast<Expr *>(makeVar(varno, description.attno, description.column_type,
                                                  description.column_typmod, description.column_collation, 0));
    if (description.compare_type != description.column_type)
        node = reinterpret_cast<Expr *>(
            makeRelabelType(node, description.compare_type, -1, description.column_collation, COERCE_IMPLICIT_CAST));
    if (OidIsValid(description.collation) && description.collation != description.column_collation) {
        CollateExpr *collate = makeNode(CollateExpr);
        collate->arg = node;
        collate->collOid = description.collation;
        collate->location = -1;
        node = reinterpret_cast<Expr *>(collate);
    }
    return node;
}

Expr *bound_node(const Range &range, Side side, int column) {
    const KeyColumn &description = range.key->columns[column];
    if (range.as_params) {
        Param *param = makeNode(Param);
        param->paramkind = PARAM_EXTERN;
        param->paramid = column + 1 + (side == upper_side ? range.key->ncolumns : 0);
        param->paramtype = description.compare_type;
        param->paramtypmod = -1;
        param->paramcollid = description.collation;
        param->location = -1;
        return reinterpret_cast<Expr *>(param);
    }
    int16 length = 0;
    bool by_value = false;
    get_typlenbyval(description.compare_type, &length, &by_value);
    return reinterpret_cast<Expr *>(makeConst(description.compare_type, -1, get_typcollation(description.compare_type),
                                              length, range.values[side][column], false, by_value));
}

// "column <strategy> bound", the strategy in index order.
Node *condition(const Range &range, int column, StrategyNumber strategy, Side side) {
    const KeyColumn &description = range.key->columns[column];
    Expr *clause =
        make_opclause(key_operator(description, strategy), BOOLOID, false, column_node(*range.key, range.varno, column),
                      bound_node(range, side, column), InvalidOid, description.collation);
    set_opfuncid(reinterpret_cast<OpExpr *>(clause));
    return reinterpret_cast<Node *>(clause);
}

// Equalities with a bound on the columns [from, to).
List *equalities(const Range &range, Side side, int from, int to) {
    List *clauses = NIL;
    for (int column = from; column < to; column++)
        clauses = lappend(clauses, condition(range, column, BTEqualStrategyNumber, side));
    return clauses;
}

// "bound = (columns before), column after bound", one part: the rows that share `column` columns with the lower bound.
List *part_after(const Range &range, int from, int column) {
    return lappend(equalities(range, lower_side, from, column),
                   condition(range, column, BTGreaterStrategyNumber, lower_side));
}

List *part_before(const Range &range, int from, int column) {
    const bool last = column == range.key->ncolumns - 1;
    return lappend(equalities(range, upper_side, from, column),
                   condition(range, column, last ? BTLessEqualStrategyNumber : BTLessStrategyNumber, upper_side));
}

// The parts of a range, in key order, without the equalities on the `from` leading columns.
List *parts_from(const Range &range, int from) {
    const int last = range.key->ncolumns - 1;
    List *parts = NIL;
    if (range.empty) return NIL;
    if (range.bounded[lower_side])
        for (int column = last; column > from; column--)
            parts = lappend(parts, part_after(range, from, column));
    List *middle = NIL;
    if (range.bounded[lower_side]) middle = part_after(range, from, from);
    if (range.bounded[upper_side]) middle = list_concat(middle, part_before(range, from, from));
    parts = lappend(parts, middle);
    if (range.bounded[upper_side])
        for (int column = from + 1; column <= last; column++)
            parts = lappend(parts, part_before(range, from, column));
    return parts;
}

Range make_range(const Key &key, int varno, const KeyRange &bounds) {
    Range range = {};
    range.key = &key;
    range.varno = varno;
    range.bounded[lower_side] = bounds.lower != nullptr;
    range.bounded[upper_side] = bounds.upper != nullptr;
    if (bounds.lower != nullptr) text_to_values(key, bounds.lower, range.values[lower_side]);
    if (bounds.upper != nullptr) text_to_values(key, bounds.upper, range.values[upper_side]);
    if (bounds.lower == nullptr || bounds.upper == nullptr) return range;

    KeyOrder order;
    prepare_order(key, &order);
    int result = 0;
    while (range.shared < key.ncolumns) {
        result = compare_column(&order, range.shared, range.values[lower_side][range.shared],
                                range.values[upper_side][range.shared]);
        if (result != 0) break;
        range.shared++;
    }
    range.empty = result >= 0;
    return range;
}

Node *all_of(List *clauses) {
    return list_length(clauses) == 1 ? static_cast<Node *>(linitial(clauses))
                                     : reinterpret_cast<Node *>(makeBoolExpr(AND_EXPR, clauses, -1));
}

// The parts, each a List of clauses, as one OR of ANDs.
Node *any_of(List *parts) {
    List *arms = NIL;
    for (int i = 0; i < list_length(parts); i++)
        arms = lappend(arms, all_of(static_cast<List *>(list_nth(parts, i))));
    return list_length(arms) == 1 ? static_cast<Node *>(linitial(arms))
                                  : reinterpret_cast<Node *>(makeBoolExpr(OR_EXPR, arms, -1));
}

// Whether one row comparison can say the order: one direction, operators of one name and schema.
bool uniform(const Key &key) {
    Oid schema = InvalidOid;
    const char *name = nullptr;
    for (int i = 0; i < key.ncolumns; i++) {
        const Oid operator_oid = key_operator(key.columns[i], BTLessStrategyNumber);
        HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator_oid));
        if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for operator %u", operator_oid);
        const auto *form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
        const bool same = i == 0 || (form->oprnamespace == schema && strcmp(NameStr(form->oprname), name) == 0 &&
                                     key.columns[i].descending == key.columns[0].descending);
        schema = form->oprnamespace;
        name = pstrdup(NameStr(form->oprname));
        ReleaseSysCache(tuple);
        if (!same) return false;
    }
    return true;
}

Node *row_comparison(const Range &range, StrategyNumber strategy, Side side) {
    const Key &key = *range.key;
    if (key.ncolumns == 1) return condition(range, 0, strategy, side);
    const bool descending = key.columns[0].descending;
    const int btree_strategy = descending ? BTCommuteStrategyNumber(strategy) : strategy;
    RowCompareExpr *row = makeNode(RowCompareExpr);
#if PG_VERSION_NUM >= 180000
    row->cmptype = static_cast<CompareType>(btree_strategy);
#else
    row->rctype = static_cast<RowCompareType>(btree_strategy);
#endif
    for (int i = 0; i < key.ncolumns; i++) {
        const KeyColumn &column = key.columns[i];
        row->opnos = lappend_oid(row->opnos, key_operator(column, strategy));
        row->opfamilies = lappend_oid(row->opfamilies, column.opfamily);
        row->inputcollids = lappend_oid(row->inputcollids, column.collation);
        row->largs = lappend(row->largs, column_node(key, range.varno, i));
        row->rargs = lappend(row->rargs, bound_node(range, side, i));
    }
    return reinterpret_cast<Node *>(row);
}

// SELECT * FROM ROWS FROM (unnest($1), ..) AS saved (..), one array a column, with the names of the key's columns.
Query *unnested_keys(const Key &key) {
    Oid types[INDEX_MAX_KEYS];
    StringInfoData sql;
    StringInfoData names;
    initStringInfo(&sql);
    initStringInfo(&names);
    for (int i = 0; i < key.ncolumns; i++) {
        types[i] = get_array_type(key.columns[i].compare_type);
        appendStringInfo(&sql, "%s unnest($%d)", i == 0 ? "SELECT * FROM ROWS FROM (" : ",", i + 1);
        appendStringInfo(&names, "%s%s", i == 0 ? "" : ", ",
                         quote_identifier(get_attname(key.source, key.columns[i].attno, false)));
    }
    appendStringInfo(&sql, ") AS saved (%s)", names.data);
    const int level = pg::pin_search_path();
    Query *query = parse_analyze_fixedparams(linitial_node(RawStmt, pg_parse_query(sql.data)), sql.data, types,
                                             key.ncolumns, nullptr);
    pg::unpin(level);
    return query;
}

// Arrays in the place of the parameters of such a query.
void put_arrays(Query *query, const Key &key, const Datum *columns) {
    List *functions = linitial_node(RangeTblEntry, query->rtable)->functions;
    for (int i = 0; i < key.ncolumns; i++) {
        auto *call = castNode(FuncExpr, list_nth_node(RangeTblFunction, functions, i)->funcexpr);
        Const *array = makeConst(get_array_type(key.columns[i].compare_type), -1, key.columns[i].collation, -1,
                                 columns[i], false, false);
        call->args = list_make1(array);
    }
}

// "column = what a subquery gives as column number".
Node *equals_output(const Key &key, int varno, int column, const TargetEntry *output) {
    const KeyColumn &description = key.columns[column];
    Param *param = makeNode(Param);
    param->paramkind = PARAM_SUBLINK;
    param->paramid = output->resno;
    param->paramtype = exprType(reinterpret_cast<Node *>(output->expr));
    param->paramtypmod = exprTypmod(reinterpret_cast<Node *>(output->expr));
    param->paramcollid = exprCollation(reinterpret_cast<Node *>(output->expr));
    param->location = -1;
    Expr *clause =
        make_opclause(key_operator(description, BTEqualStrategyNumber), BOOLOID, false, column_node(key, varno, column),
                      reinterpret_cast<Expr *>(param), InvalidOid, description.collation);
    set_opfuncid(reinterpret_cast<OpExpr *>(clause));
    return reinterpret_cast<Node *>(clause);
}

} // namespace

Oid key_operator(const KeyColumn &column, StrategyNumber strategy) {
    const int btree_strategy = column.descending ? BTCommuteStrategyNumber(strategy) : strategy;
    const Oid result =
        get_opfamily_member(column.opfamily, column.opcintype, column.opcintype, static_cast<int16>(btree_strategy));
    if (!OidIsValid(result))
        elog(ERROR, "missing operator %d(%u,%u) in operator family %u", btree_strategy, column.opcintype,
             column.opcintype, column.opfamily);
    return result;
}

Node *range_qual(const Key &key, int varno, const KeyRange &bounds) {
    if (bounds.lower == nullptr && bounds.upper == nullptr) return nullptr;
    const Range range = make_range(key, varno, bounds);
    if (range.empty) return makeBoolConst(false, false);
    List *clauses = equalities(range, lower_side, 0, range.shared);
    return all_of(lappend(clauses, any_of(parts_from(range, range.shared))));
}

Node *keys_qual(const Key &key, int varno, List *keys) {
    List *arms = NIL;
    ListCell *cell;
    foreach (cell, keys) {
        Range range = {};
        range.key = &key;
        range.varno = varno;
        text_to_values(key, static_cast<KeyText>(lfirst(cell)), range.values[lower_side]);
        arms = lappend(arms, equalities(range, lower_side, 0, key.ncolumns));
    }
    return any_of(arms);
}

Node *membership_qual(const Key &key, int varno, const Datum *columns) {
    Query *keys = unnested_keys(key);
    if (columns != nullptr) put_arrays(keys, key, columns);
    List *equal = NIL;
    for (int i = 0; i < key.ncolumns; i++)
        equal = lappend(equal, equals_output(key, varno, i, list_nth_node(TargetEntry, keys->targetList, i)));
    SubLink *link = makeNode(SubLink);
    link->subLinkType = ANY_SUBLINK;
    link->testexpr = all_of(equal);
    link->operName = list_make1(makeString(pstrdup("=")));
    link->subselect = reinterpret_cast<Node *>(keys);
    link->location = -1;
    return reinterpret_cast<Node *>(link);
}

bool hashes_keys(const Key &key, int64 count) {
    constexpr Size column_bytes = 32; // what the planner takes for a text of which it knows nothing
    for (int i = 0; i < key.ncolumns; i++)
        if (!op_hashjoinable(key_operator(key.columns[i], BTEqualStrategyNumber), key.columns[i].compare_type))
            return false;
    const Size bytes = MAXALIGN(SizeofHeapTupleHeader) + column_bytes * static_cast<Size>(key.ncolumns);
    return static_cast<Size>(count) * bytes < get_hash_memory_limit();
}

void select_keys_in_order(Query *query, const Key &key, int varno) {
    for (int i = 0; i < key.ncolumns; i++) {
        const KeyColumn &column = key.columns[i];
        TargetEntry *output = makeTargetEntry(column_node(key, varno, i), static_cast<AttrNumber>(i + 1),
                                              psprintf("key_%d", i + 1), false);
        output->ressortgroupref = static_cast<Index>(i + 1);
        query->targetList = lappend(query->targetList, output);
        SortGroupClause *order = makeNode(SortGroupClause);
        order->tleSortGroupRef = output->ressortgroupref;
        order->eqop = key_operator(column, BTEqualStrategyNumber);
        order->sortop = key_operator(column, BTLessStrategyNumber);
#if PG_VERSION_NUM >= 180000
        order->reverse_sort = column.descending;
#endif
        order->nulls_first = column.nulls_first;
        order->hashable = false;
        query->sortClause = lappend(query->sortClause, order);
    }
    query->distinctClause = static_cast<List *>(copyObjectImpl(query->sortClause));
    RangeTblEntry *entry = rt_fetch(varno, query->rtable);
#if PG_VERSION_NUM >= 160000
    Bitmapset **read = &getRTEPermissionInfo(query->rteperminfos, entry)->selectedCols;
#else
    Bitmapset **read = &entry->selectedCols;
#endif
    for (int i = 0; i < key.ncolumns; i++)
        *read = bms_add_member(*read, key.columns[i].attno - FirstLowInvalidHeapAttributeNumber);
}

List *range_parts(const Key &key, int varno, const KeyRange &bounds) {
    const Range range = make_range(key, varno, bounds);
    List *parts = parts_from(range, range.shared);
    for (int i = 0; i < list_length(parts); i++) {
        ListCell *cell = list_nth_cell(parts, i);
        lfirst(cell) = list_concat(equalities(range, lower_side, 0, range.shared), static_cast<List *>(lfirst(cell)));
    }
    return parts;
}

Node *range_qual_with_params(const Key &key, int varno) {
    Range range = {};
    range.key = &key;
    range.varno = varno;
    range.as_params = true;
    range.bounded[lower_side] = range.bounded[upper_side] = true;
    if (!uniform(key)) return any_of(parts_from(range, 0));
    return all_of(list_make2(row_comparison(range, BTGreaterStrategyNumber, lower_side),
                             row_comparison(range, BTLessEqualStrategyNumber, upper_side)));
}

} // namespace stride::walk
