// MERGE: proof that no two source rows can meet in one target row, and that no chunk changes what another one matches.
// Within one command PostgreSQL itself sees to that; across chunks only a unique key of the source in ON does.  Where
// there is none, and the rows of the source are saved first, it says which columns would be one.
// Regime: pg.  Locks: AccessShareLock on indexes of the source, for a moment.  May not execute anything.
#include "analysis/analysis.hpp"

#include "walk/key.hpp"

namespace stride::analysis {
namespace {

// One item of the source that yields rows.  Determined: for a given target row it can contribute one row at most.
struct Leaf {
    Query *level;
    int rtindex;
    bool determined;
};

// A column of a leaf, or (level == nullptr) an expression that is fixed for a given target row.
struct Side {
    Query *level;
    int rtindex;
    AttrNumber column;
};

// "left = right".  It may determine the leaves numbered [first, last) only: those of an outer join's nullable side.
struct Equality {
    Oid operator_id;
    Oid collation;
    Side left;
    Side right;
    int first;
    int last;
};

// The key that is promised of the driving table, if that is a foreign one.
struct Promise {
    const RangeTblEntry *driver;
    ArrayType *key; // name[], nullptr = none
};

struct Proof {
    Query *merge;
    List *leaves;     // Leaf *
    List *equalities; // Equality *
    Promise promise;
    bool opaque; // the source has an item of which nothing is known
};

void add_item(Proof &proof, List *levels, Node *item);

Node *strip_relabel(Node *node) {
    while (node != nullptr && IsA(node, RelabelType))
        node = reinterpret_cast<Node *>(reinterpret_cast<RelabelType *>(node)->arg);
    return node;
}

Query *innermost(List *levels) {
    return static_cast<Query *>(llast(levels));
}

// Follows a Var down to the column of a table; false where it is computed on the way.
bool resolve(List *levels, Node *node, Side *side) {
    check_stack_depth();
    node = strip_relabel(node);
    if (node == nullptr || !IsA(node, Var)) return false;
    const Var *var = reinterpret_cast<Var *>(node);
    if (var->varlevelsup != 0 || var->varattno <= 0) return false;
    Query *level = innermost(levels);
    const RangeTblEntry *rte = entry_at(level, static_cast<int>(var->varno));
    if (rte->rtekind == RTE_RELATION) {
        *side = Side{level, static_cast<int>(var->varno), var->varattno};
        return true;
    }
    if (rte->rtekind == RTE_JOIN)
        return resolve(levels, static_cast<Node *>(list_nth(rte->joinaliasvars, var->varattno - 1)), side);
    List *inner = NIL;
    Query *query = rte->rtekind == RTE_SUBQUERY ? rte->subquery
                   : rte->rtekind == RTE_CTE    ? cte_query(levels, rte, &inner)
                                                : nullptr;
    if (query == nullptr || query->setOperations != nullptr) return false;
    if (rte->rtekind == RTE_SUBQUERY) inner = levels;
    const TargetEntry *entry = get_tle_by_resno(query->targetList, var->varattno);
    return entry != nullptr && resolve(lappend(list_copy(inner), query), reinterpret_cast<Node *>(entry->expr), side);
}

// Fixed for a given target row: no column of the source in it, and nothing that changes from call to call.
bool is_given(const Proof &proof, List *levels, Node *node) {
    const int target = innermost(levels) == proof.merge ? proof.merge->resultRelation : 0;
    return !contain_volatile_functions(node) && !find_node(node, [target](Node *part) {
        if (IsA(part, SubLink)) return true;
        return IsA(part, Var) && static_cast<int>(reinterpret_cast<Var *>(part)->varno) != target;
    });
}

bool classify(const Proof &proof, List *levels, Node *node, Side *side) {
    *side = Side{nullptr, 0, 0};
    if (is_given(proof, levels, node)) return true;
    return resolve(levels, node, side);
}

List *conjuncts(Node *quals) {
    if (quals == nullptr) return NIL;
    if (!is_andclause(quals)) return list_make1(quals);
    List *all = NIL;
    ListCell *cell;
    foreach (cell, reinterpret_cast<BoolExpr *>(quals)->args)
        all = list_concat(all, conjuncts(static_cast<Node *>(lfirst(cell))));
    return all;
}

void add_quals(Proof &proof, List *levels, List *quals, int first, int last) {
    ListCell *cell;
    foreach (cell, quals) {
        Node *qual = static_cast<Node *>(lfirst(cell));
        if (!IsA(qual, OpExpr) || list_length(reinterpret_cast<OpExpr *>(qual)->args) != 2) continue;
        const OpExpr *op = reinterpret_cast<OpExpr *>(qual);
        Equality *equality = static_cast<Equality *>(palloc(sizeof(Equality)));
        *equality = Equality{op->opno, op->inputcollid, {}, {}, first, last};
        if (classify(proof, levels, static_cast<Node *>(linitial(op->args)), &equality->left) &&
            classify(proof, levels, static_cast<Node *>(lsecond(op->args)), &equality->right))
            proof.equalities = lappend(proof.equalities, equality);
    }
}

void add_join(Proof &proof, List *levels, const JoinExpr *join) {
    const int start = list_length(proof.leaves);
    add_item(proof, levels, join->larg);
    const int middle = list_length(proof.leaves);
    add_item(proof, levels, join->rarg);
    const int end = list_length(proof.leaves);
    List *quals = conjuncts(join->quals);
    if (join->jointype == JOIN_INNER) {
        add_quals(proof, levels, quals, 0, PG_INT32_MAX);
    } else if (join->jointype == JOIN_LEFT) {
        add_quals(proof, levels, quals, middle, end);
    } else if (join->jointype == JOIN_RIGHT) {
        add_quals(proof, levels, quals, start, middle);
    } else {
        proof.opaque = true;
    }
}

void add_from(Proof &proof, List *levels, const FromExpr *from) {
    ListCell *cell;
    foreach (cell, from->fromlist)
        add_item(proof, levels, static_cast<Node *>(lfirst(cell)));
    add_quals(proof, levels, conjuncts(from->quals), 0, PG_INT32_MAX);
}

void add_entry(Proof &proof, List *levels, int rtindex) {
    Query *level = innermost(levels);
    const RangeTblEntry *rte = entry_at(level, rtindex);
    List *inner = levels;
    Query *query = rte->rtekind == RTE_SUBQUERY ? rte->subquery
                   : rte->rtekind == RTE_CTE    ? cte_query(levels, rte, &inner)
                                                : nullptr;
    if (query != nullptr && is_simple_level(query) && !query->hasTargetSRFs) {
        add_from(proof, lappend(list_copy(inner), query), query->jointree);
    } else if (rte->rtekind == RTE_RELATION) {
        Leaf *leaf = static_cast<Leaf *>(palloc(sizeof(Leaf)));
        *leaf = Leaf{level, rtindex, false};
        proof.leaves = lappend(proof.leaves, leaf);
    } else {
        proof.opaque = true;
    }
}

void add_item(Proof &proof, List *levels, Node *item) {
    check_stack_depth();
    if (IsA(item, RangeTblRef)) {
        add_entry(proof, levels, reinterpret_cast<RangeTblRef *>(item)->rtindex);
    } else if (IsA(item, JoinExpr)) {
        add_join(proof, levels, reinterpret_cast<JoinExpr *>(item));
    } else {
        add_from(proof, levels, reinterpret_cast<FromExpr *>(item));
    }
}

// Is this side known once the determined leaves are?
bool is_known(const Proof &proof, const Side &side) {
    if (side.level == nullptr) return true;
    ListCell *cell;
    foreach (cell, proof.leaves) {
        const Leaf *leaf = static_cast<Leaf *>(lfirst(cell));
        if (leaf->level == side.level && leaf->rtindex == side.rtindex) return leaf->determined;
    }
    return false;
}

bool column_is_known(const Proof &proof, int number, AttrNumber column, Oid opfamily, Oid collation) {
    const Leaf *leaf = static_cast<Leaf *>(list_nth(proof.leaves, number));
    ListCell *cell;
    foreach (cell, proof.equalities) {
        const Equality *equality = static_cast<Equality *>(lfirst(cell));
        if (number < equality->first || number >= equality->last) continue;
        if (get_op_opfamily_strategy(equality->operator_id, opfamily) != BTEqualStrategyNumber) continue;
        if (OidIsValid(equality->collation) && equality->collation != collation &&
            !get_collation_isdeterministic(equality->collation))
            continue;
        const Side &left = equality->left;
        const Side &right = equality->right;
        if (left.level == leaf->level && left.rtindex == leaf->rtindex && left.column == column &&
            is_known(proof, right))
            return true;
        if (right.level == leaf->level && right.rtindex == leaf->rtindex && right.column == column &&
            is_known(proof, left))
            return true;
    }
    return false;
}

bool index_is_known(const Proof &proof, int number, Oid index_oid) {
    Relation index = index_open(index_oid, AccessShareLock);
    const FormData_pg_index *form = index->rd_index;
    bool known = form->indisunique && form->indimmediate && form->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
                 heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr) &&
                 heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, nullptr);
    for (int i = 0; known && i < form->indnkeyatts; i++)
        known =
            column_is_known(proof, number, form->indkey.values[i], index->rd_opfamily[i], index->rd_indcollation[i]);
    index_close(index, AccessShareLock);
    return known;
}

bool promise_is_known(const Proof &proof, int number, Relation relation) {
    const walk::Key key = walk::choose_key(relation, RelationGetRelid(relation), proof.promise.key);
    for (int i = 0; i < key.ncolumns; i++) {
        const walk::KeyColumn &column = key.columns[i];
        if (!column_is_known(proof, number, column.attno, column.opfamily, column.collation)) return false;
    }
    return true;
}

bool leaf_is_known(const Proof &proof, int number) {
    const Leaf *leaf = static_cast<Leaf *>(list_nth(proof.leaves, number));
    const RangeTblEntry *rte = entry_at(leaf->level, leaf->rtindex);
    if (rte->relkind != RELKIND_PARTITIONED_TABLE && list_length(relation_and_children(rte->relid, rte->inh)) > 1)
        return false;
    Relation relation = relation_open(rte->relid, AccessShareLock);
    bool known = rte == proof.promise.driver && rte->relkind == RELKIND_FOREIGN_TABLE && proof.promise.key != nullptr &&
                 promise_is_known(proof, number, relation);
    ListCell *cell;
    foreach (cell, RelationGetIndexList(relation))
        known = known || index_is_known(proof, number, lfirst_oid(cell));
    relation_close(relation, AccessShareLock);
    return known;
}

// What the part `on` of the join condition determines of the source for a given target row.
Proof prove(Query *merge, List *on, const Promise &promise) {
    Proof proof = {merge, NIL, NIL, promise, false};
    List *levels = list_make1(merge);
    add_item(proof, levels, static_cast<Node *>(linitial(merge->jointree->fromlist)));
    add_quals(proof, levels, on, 0, PG_INT32_MAX);
    for (bool progress = true; progress && !proof.opaque;) {
        progress = false;
        for (int i = 0; i < list_length(proof.leaves); i++) {
            Leaf *leaf = static_cast<Leaf *>(list_nth(proof.leaves, i));
            if (leaf->determined || !leaf_is_known(proof, i)) continue;
            leaf->determined = true;
            progress = true;
        }
    }
    return proof;
}

// Does the part `on` of the join condition leave one source row at most for each target row?
bool one_source_row(Query *merge, List *on, const Promise &promise) {
    const Proof proof = prove(merge, on, promise);
    if (proof.opaque) return false;
    ListCell *cell;
    foreach (cell, proof.leaves)
        if (!static_cast<Leaf *>(lfirst(cell))->determined) return false;
    return true;
}

// The place of a table among the leaves, -1 if it is not one of them.
int leaf_of(const Proof &proof, Oid table) {
    for (int i = 0; i < list_length(proof.leaves); i++) {
        const Leaf *leaf = static_cast<Leaf *>(list_nth(proof.leaves, i));
        if (entry_at(leaf->level, leaf->rtindex)->relid == table) return i;
    }
    return -1;
}

bool reads_target(Node *node, const Query *merge, AttrNumber column) {
    return find_node(node, [merge, column](Node *part) {
        const Var *var = IsA(part, Var) ? reinterpret_cast<Var *>(part) : nullptr;
        return var != nullptr && static_cast<int>(var->varno) == merge->resultRelation &&
               (column == InvalidAttrNumber || var->varattno == column || var->varattno == InvalidAttrNumber);
    });
}

// An assignment from one type to the other keeps different values different.
bool keeps_apart(Oid from, Oid to) {
    const auto is_integer = [](Oid type) { return type == INT2OID || type == INT4OID || type == INT8OID; };
    return from == to || (is_integer(from) && is_integer(to)) ||
           (TypeCategory(from) == TYPCATEGORY_STRING && TypeCategory(to) == TYPCATEGORY_STRING);
}

// "target.column = expression" in ON, and the action assigns just that expression to that column.
bool is_assigned_alike(const Query *merge, Node *qual, const MergeAction *action) {
    if (!IsA(qual, OpExpr) || list_length(reinterpret_cast<OpExpr *>(qual)->args) != 2) return false;
    Node *sides[2] = {strip_relabel(static_cast<Node *>(linitial(reinterpret_cast<OpExpr *>(qual)->args))),
                      strip_relabel(static_cast<Node *>(lsecond(reinterpret_cast<OpExpr *>(qual)->args)))};
    for (int i = 0; i < 2; i++) {
        const Var *var = IsA(sides[i], Var) ? reinterpret_cast<Var *>(sides[i]) : nullptr;
        if (var == nullptr || static_cast<int>(var->varno) != merge->resultRelation || var->varattno <= 0) continue;
        const TargetEntry *entry = get_tle_by_resno(action->targetList, var->varattno);
        if (entry == nullptr) continue;
        Node *assigned = strip_relabel(strip_implicit_coercions(reinterpret_cast<Node *>(entry->expr)));
        Node *compared = strip_implicit_coercions(sides[1 - i]);
        if (equal(assigned, compared) && keeps_apart(exprType(assigned), var->vartype)) return true;
    }
    return false;
}

void check_insert(Query *merge, List *on, const MergeAction *action, const Promise &promise) {
    List *kept = NIL;
    ListCell *cell;
    foreach (cell, on) {
        Node *qual = static_cast<Node *>(lfirst(cell));
        if (!reads_target(qual, merge, InvalidAttrNumber) || is_assigned_alike(merge, qual, action))
            kept = lappend(kept, qual);
    }
    if (!one_source_row(merge, kept, promise))
        refuse(
            "WHEN NOT MATCHED inserts a row whose key columns are not the ones that ON compares: a later chunk could "
            "match it.",
            "Insert the source's key as ON compares it: ON target.id = source.id ... INSERT (id) VALUES (source.id).");
}

void check_update(const Query *merge, List *on, const MergeAction *action) {
    ListCell *cell;
    foreach (cell, action->targetList) {
        const TargetEntry *entry = lfirst_node(TargetEntry, cell);
        ListCell *inner;
        foreach (inner, on) {
            Node *qual = static_cast<Node *>(lfirst(inner));
            if (reads_target(qual, merge, entry->resno) && !is_assigned_alike(merge, qual, action))
                refuse(psprintf("WHEN MATCHED updates the column \"%s\", which ON compares: a later chunk could match "
                                "the row again.",
                                entry->resname != nullptr ? entry->resname : "?"),
                       "Leave the columns that ON compares unchanged.");
        }
    }
}

Node *join_condition(const Query *merge) {
#if PG_VERSION_NUM >= 170000
    return merge->mergeJoinCondition;
#else
    return merge->jointree->quals;
#endif
}

} // namespace

bool has_unique_source(Query *merge) {
    return one_source_row(merge, conjuncts(join_condition(merge)), Promise{nullptr, nullptr});
}

List *columns_to_be_unique(Query *query, Oid table) {
    if (query->commandType != CMD_MERGE) return NIL;
    const Proof proof = prove(query, conjuncts(join_condition(query)), Promise{nullptr, nullptr});
    const int number = proof.opaque ? -1 : leaf_of(proof, table);
    if (number < 0) return NIL;
    Relation relation = table_open(table, AccessShareLock);
    List *columns = NIL;
    for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++) {
        const FormData_pg_attribute *column = TupleDescAttr(RelationGetDescr(relation), i);
        const Oid opclass = GetDefaultOpClass(column->atttypid, BTREE_AM_OID);
        if (OidIsValid(opclass) &&
            column_is_known(proof, number, column->attnum, get_opclass_family(opclass), column->attcollation))
            columns = lappend_int(columns, column->attnum);
    }
    table_close(relation, NoLock);
    return columns;
}

void check_merge(Query *query, const RangeTblEntry *driver, ArrayType *key) {
    const Promise promise = {driver, key};
    List *on = conjuncts(join_condition(query));
    ListCell *cell;
#if PG_VERSION_NUM >= 170000
    foreach (cell, query->mergeActionList)
        if (lfirst_node(MergeAction, cell)->matchKind == MERGE_WHEN_NOT_MATCHED_BY_SOURCE)
            refuse("It has WHEN NOT MATCHED BY SOURCE, which would act on every target row that another chunk's source "
                   "rows match.",
                   "Write that part as a DELETE or UPDATE with NOT EXISTS, and submit it as a job of its own.");
#endif
    if (!one_source_row(query, on, promise))
        refuse("ON does not equate a unique key of the source: rows of two chunks could meet in one target row.",
               "Compare all columns of a unique key of each source table by \"=\" in ON, without casts; or give the "
               "source as one table, view or subquery and have its rows saved first, by walk => 'spool': then any "
               "columns will do that are unique among them.");
    foreach (cell, query->mergeActionList) {
        const MergeAction *action = lfirst_node(MergeAction, cell);
        if (action->commandType == CMD_INSERT) check_insert(query, on, action, promise);
        if (action->commandType == CMD_UPDATE) check_update(query, on, action);
    }
}

} // namespace stride::analysis
