// A table reference turned into a subquery that filters it: how a range gets to the source of a MERGE, whose own
// conditions are those of its ON.
// Regime: pg.  Locks: none beyond those of parse analysis.
#include "analysis/analysis.hpp"

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

// The right to read the table goes along with the reference to it.
void move_permissions(Query *query, RangeTblEntry *outer, Query *subquery, RangeTblEntry *inner) {
#if PG_VERSION_NUM >= 160000
    const RTEPermissionInfo *before = getRTEPermissionInfo(query->rteperminfos, outer);
    inner->perminfoindex = 0;
    RTEPermissionInfo *after = addRTEPermissionInfo(&subquery->rteperminfos, inner);
    after->requiredPerms = before->requiredPerms;
    after->checkAsUser = before->checkAsUser;
    after->selectedCols = before->selectedCols;
    outer->perminfoindex = 0;
#else
    (void)query;
    (void)subquery;
    (void)inner;
    outer->requiredPerms = 0;
    outer->checkAsUser = InvalidOid;
    outer->selectedCols = nullptr;
#endif
}

} // namespace

void filter_source(Query *query, int rtindex, Node *qual) {
    RangeTblEntry *outer = entry_at(query, rtindex);
    RangeTblEntry *inner = static_cast<RangeTblEntry *>(copyObjectImpl(outer));
    inner->lateral = false;
    Query *subquery = makeNode(Query);
    subquery->commandType = CMD_SELECT;
    subquery->canSetTag = true;
    subquery->rtable = list_make1(inner);
    move_permissions(query, outer, subquery, inner);
    Relation relation = relation_open(outer->relid, NoLock);
    subquery->targetList = all_columns(relation);
    relation_close(relation, NoLock);
    RangeTblRef *reference = makeNode(RangeTblRef);
    reference->rtindex = 1;
    ChangeVarNodes(qual, rtindex, 1, 0);
    subquery->jointree = makeFromExpr(list_make1(reference), qual);
    subquery->hasSubLinks = checkExprHasSubLink(qual);

    outer->rtekind = RTE_SUBQUERY;
    outer->subquery = subquery;
    outer->relid = InvalidOid;
    outer->relkind = 0;
    outer->rellockmode = 0;
    outer->tablesample = nullptr;
    outer->inh = false;
    // A subquery has to have an alias in SQL.
    if (outer->alias == nullptr) outer->alias = makeAlias(outer->eref->aliasname, NIL);
}

void refuse_source_system_columns(Query *query, const Candidate &driver) {
    if (query->commandType != CMD_MERGE || driver.level != query) return;
    List *vars = pull_vars_of_level(reinterpret_cast<Node *>(query), 0);
    ListCell *cell;
    foreach (cell, vars) {
        const Var *var = lfirst_node(Var, cell);
        if (static_cast<int>(var->varno) != driver.rtindex || var->varattno >= 0) continue;
        refuse(psprintf("It reads the system column \"%s\" of the source.",
                        NameStr(SystemAttributeDefinition(var->varattno)->attname)),
               "Give the source as a subquery that selects it under a name of its own.");
    }
}

} // namespace stride::analysis
