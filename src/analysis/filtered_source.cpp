// A table reference turned into a subquery: one that filters it, which is how a range gets to the source of a MERGE,
// whose own conditions are those of its ON; or one that gives its rows from where they were saved.
// Regime: pg.  Locks: AccessShareLock on a work table; else none beyond those of parse analysis.
#include "analysis/analysis.hpp"
#include "catalog/work_table.hpp"

namespace stride::analysis {
namespace {

// Every column in its own place, so that the Vars that mean the table mean the subquery as they are.
List *all_columns(Relation relation) {
    TupleDesc descriptor = RelationGetDescr(relation);
    List *columns = NIL;
    for (int i = 0; i < descriptor->natts; i++) {
        const Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        Expr *value = attribute->attisdropped
                          ? reinterpret_cast<Expr *>(makeNullConst(INT4OID, -1, InvalidOid))
                          : reinterpret_cast<Expr *>(makeVar(1, attribute->attnum, attribute->atttypid,
                                                             attribute->atttypmod, attribute->attcollation, 0));
        columns =
            lappend(columns, makeTargetEntry(value, attribute->attnum, pstrdup(NameStr(attribute->attname)), false));
    }
    return columns;
}

// The right to read the table goes along with the reference to it, of which `inner` is a copy.
void move_permissions(Query *query, RangeTblEntry *outer, Query *subquery, RangeTblEntry *inner) {
#if PG_VERSION_NUM >= 160000
    const RTEPermissionInfo *before = getRTEPermissionInfo(query->rteperminfos, outer);
    inner->perminfoindex = 0;
    RTEPermissionInfo *after = addRTEPermissionInfo(&subquery->rteperminfos, inner);
    after->requiredPerms = before->requiredPerms;
    after->checkAsUser = before->checkAsUser;
    after->selectedCols = before->selectedCols;
#else
    (void)query;
    (void)outer;
    (void)subquery;
    (void)inner;
#endif
}

// The columns of a table reference in their own places: those that were saved from the work table, literals without a
// type as they are, else NULL.
List *columns_from(Relation work_table, RangeTblEntry *entry, const List *saved) {
    List *columns = NIL;
    List *names;
    int taken = 0;
    ListCell *cell;
    foreach (cell, columns_of(entry, 1, &names)) {
        Node *value = static_cast<Node *>(lfirst(cell));
        const auto number = static_cast<AttrNumber>(list_length(columns) + 1);
        if (list_member_int(saved, number)) {
            const FormData_pg_attribute *column =
                TupleDescAttr(RelationGetDescr(work_table), catalog::ordinal_attno + taken++);
            value = reinterpret_cast<Node *>(
                makeVar(1, column->attnum, column->atttypid, column->atttypmod, column->attcollation, 0));
        } else if (exprType(value) == UNKNOWNOID && entry->rtekind == RTE_SUBQUERY) {
            value = reinterpret_cast<Node *>(get_tle_by_resno(entry->subquery->targetList, number)->expr);
        } else {
            value = reinterpret_cast<Node *>(makeNullConst(exprType(value), exprTypmod(value), exprCollation(value)));
        }
        char *name = strVal(list_nth(names, number - 1));
        if (name[0] == '\0') name = psprintf("dropped column %d", number);
        columns = lappend(columns, makeTargetEntry(reinterpret_cast<Expr *>(value), number, name, false));
    }
    return columns;
}

// The names of a table reference's columns; its dropped ones, which have none, are columns of a subquery like others.
List *all_names(const RangeTblEntry *entry, const List *columns) {
    List *names = NIL;
    ListCell *cell;
    foreach (cell, columns) {
        const TargetEntry *column = lfirst_node(TargetEntry, cell);
        char *name = strVal(list_nth(entry->eref->colnames, column->resno - 1));
        names = lappend(names, makeString(name[0] == '\0' ? column->resname : name));
    }
    return names;
}

void become_subquery(Query *level, int rtindex, Query *subquery) {
    const RangeTblEntry *before = entry_at(level, rtindex);
    RangeTblEntry *entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_SUBQUERY;
    entry->subquery = subquery;
    entry->eref = makeAlias(before->eref->aliasname, all_names(before, subquery->targetList));
    // A subquery has to have an alias in SQL.
    const bool renames = before->alias != nullptr && before->alias->colnames != NIL;
    entry->alias = makeAlias(before->eref->aliasname, renames ? entry->eref->colnames : NIL);
    entry->inFromCl = before->inFromCl;
    lfirst(list_nth_cell(level->rtable, rtindex - 1)) = entry;
}

// A reference to the whole row of a table, which a subquery's row is not, becomes one made of its columns.
struct WholeRows {
    RangeTblEntry *entry;
    int rtindex;
    Index depth; // query levels beneath that of the entry
};

Node *make_row(const Var *var, const WholeRows &rows) {
    RowExpr *row = makeNode(RowExpr);
    List *names;
    row->args = columns_of(rows.entry, rows.rtindex, &names);
    ListCell *cell;
    foreach (cell, row->args)
        IncrementVarSublevelsUp(static_cast<Node *>(lfirst(cell)), static_cast<int>(rows.depth), 0);
    row->row_typeid = var->vartype;
    row->row_format = COERCE_EXPLICIT_CAST;
    row->location = -1;
    return reinterpret_cast<Node *>(row);
}

Node *expand_whole_rows(Node *node, void *context) {
    auto *rows = static_cast<WholeRows *>(context);
    if (node == nullptr) return nullptr;
    if (IsA(node, Var)) {
        const Var *var = reinterpret_cast<Var *>(node);
        if (static_cast<int>(var->varno) == rows->rtindex && var->varlevelsup == rows->depth &&
            var->varattno == InvalidAttrNumber && get_typtype(var->vartype) == TYPTYPE_COMPOSITE)
            return make_row(var, *rows);
    }
    if (!IsA(node, Query)) return pg::mutate_expression(node, expand_whole_rows, context);
    rows->depth++;
    Query *query = pg::mutate_query(reinterpret_cast<Query *>(node), expand_whole_rows, context, 0);
    rows->depth--;
    return reinterpret_cast<Node *>(query);
}

} // namespace

List *columns_of(RangeTblEntry *entry, int rtindex, List **names) {
    List *columns;
#if PG_VERSION_NUM >= 180000
    expandRTE(entry, rtindex, 0, VAR_RETURNING_DEFAULT, -1, true, names, &columns);
#else
    expandRTE(entry, rtindex, 0, -1, true, names, &columns);
#endif
    return columns;
}

Query *select_from(List *rtable, List *columns, Node *qual) {
    RangeTblRef *reference = makeNode(RangeTblRef);
    reference->rtindex = 1;
    Query *query = makeNode(Query);
    query->commandType = CMD_SELECT;
    query->canSetTag = true;
    query->rtable = rtable;
    query->targetList = columns;
    query->jointree = makeFromExpr(list_make1(reference), qual);
    query->hasSubLinks = checkExprHasSubLink(qual);
    return query;
}

void filter_source(Query *query, int rtindex, Node *qual) {
    RangeTblEntry *inner = static_cast<RangeTblEntry *>(copyObjectImpl(entry_at(query, rtindex)));
    inner->lateral = false;
    Relation relation = relation_open(inner->relid, NoLock);
    ChangeVarNodes(qual, rtindex, 1, 0);
    Query *subquery = select_from(list_make1(inner), all_columns(relation), qual);
    relation_close(relation, NoLock);
    move_permissions(query, entry_at(query, rtindex), subquery, inner);
    become_subquery(query, rtindex, subquery);
}

void read_saved_rows(Query *level, int rtindex, Oid work_table, const List *columns) {
    RangeTblEntry *entry = entry_at(level, rtindex);
    WholeRows rows = {entry, rtindex, 0};
    (void)pg::mutate_query(level, expand_whole_rows, &rows, QTW_DONT_COPY_QUERY);
    Relation saved = relation_open(work_table, AccessShareLock);
    ParseState *pstate = make_parsestate(nullptr);
    (void)addRangeTableEntryForRelation(pstate, saved, AccessShareLock, nullptr, true, true);
    Query *subquery = select_from(pstate->p_rtable, columns_from(saved, entry, columns), nullptr);
#if PG_VERSION_NUM >= 160000
    subquery->rteperminfos = pstate->p_rteperminfos;
#endif
    free_parsestate(pstate);
    relation_close(saved, NoLock);
    become_subquery(level, rtindex, subquery);
}

void refuse_system_columns(Query *level, int rtindex) {
    List *vars = pull_vars_of_level(reinterpret_cast<Node *>(level), 0);
    ListCell *cell;
    foreach (cell, vars) {
        const Var *var = lfirst_node(Var, cell);
        if (static_cast<int>(var->varno) != rtindex || var->varattno >= 0) continue;
        refuse(psprintf("It reads the system column \"%s\" of the source.",
                        NameStr(SystemAttributeDefinition(var->varattno)->attname)),
               "Give the source as a subquery that selects it under a name of its own.");
    }
}

void refuse_source_system_columns(Query *query, const Candidate &driver) {
    if (query->commandType == CMD_MERGE && driver.level == query) refuse_system_columns(query, driver.rtindex);
}

} // namespace stride::analysis
