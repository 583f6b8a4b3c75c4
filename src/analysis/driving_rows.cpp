// The driving rows of a statement: found again in what workers run, cut to a range, and as a query of their own, which
// finds them without doing anything with them.
// Regime: pg.  Locks: none beyond those of parse analysis.  May not execute anything.
#include <cstring>

#include "analysis/analysis.hpp"

namespace stride::analysis {
namespace {

bool refers_outside(Node *node, void *context) {
    if (node == nullptr) return false;
    check_stack_depth();
    const Index depth = *static_cast<Index *>(context);
    if (IsA(node, Var)) return reinterpret_cast<Var *>(node)->varlevelsup > depth;
    if (IsA(node, Aggref)) {
        if (reinterpret_cast<Aggref *>(node)->agglevelsup > depth) return true;
    } else if (IsA(node, Query)) {
        Query *level = reinterpret_cast<Query *>(node);
        ListCell *cell;
        foreach (cell, level->rtable) {
            const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
            if (entry->rtekind == RTE_CTE && entry->ctelevelsup > depth + 1) return true;
        }
        Index below = depth + 1;
        return walk_query(level, refers_outside, &below);
    }
    return walk_expression(node, refers_outside, context);
}

bool changes_data(const Query *query) {
    ListCell *cell;
    foreach (cell, query->cteList)
        if (castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery)->commandType != CMD_SELECT) return true;
    return false;
}

// The right that the statement needs on a table that it writes is not that of a query.
void ask_for_select(Query *query, int rtindex) {
#if PG_VERSION_NUM >= 160000
    getRTEPermissionInfo(query->rteperminfos, entry_at(query, rtindex))->requiredPerms = ACL_SELECT;
#else
    entry_at(query, rtindex)->requiredPerms = ACL_SELECT;
#endif
}

} // namespace

RangeTblEntry *entry_of(const Driver &driver) {
    RangeTblEntry *entry = entry_at(driver.level, driver.rtindex);
    return entry->rtekind == RTE_SUBQUERY ? entry_at(entry->subquery, 1) : entry;
}

Driver find_driver(Query *query, Oid source, const char *source_alias) {
    Driver driver = {nullptr, 0};
    int count = 0;
    ListCell *cell;
    foreach (cell, candidates(query)) {
        const Candidate *candidate = static_cast<Candidate *>(lfirst(cell));
        const RangeTblEntry *rte = entry_of(*candidate);
        if (rte->relid != source || std::strcmp(rte->eref->aliasname, source_alias) != 0) continue;
        driver = Driver{candidate->level, candidate->rtindex};
        count++;
    }
    if (count != 1)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the table that drives the statement is no longer what it was"),
                        errdetail("The statement refers to the table with OID %u as \"%s\" in %d places.", source,
                                  source_alias, count),
                        errhint("Give the table its name back and resume the job, or submit the statement again.")));
    return driver;
}

Driver find_deleted(Query *query, const Driver &driver) {
    ListCell *cell;
    foreach (cell, query->cteList) {
        Query *level = castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery);
        if (level->commandType == CMD_DELETE && (level != driver.level || level->resultRelation != driver.rtindex))
            return Driver{level, level->resultRelation};
    }
    return Driver{nullptr, 0};
}

void add_range(Query *query, const Driver &driver, Node *qual) {
    if (query->commandType == CMD_MERGE && driver.level == query) {
        filter_source(query, driver.rtindex, qual);
    } else {
        driver.level->jointree->quals = make_and_qual(driver.level->jointree->quals, qual);
        driver.level->hasSubLinks = driver.level->hasSubLinks || checkExprHasSubLink(qual);
    }
}

bool stands_alone(Query *query) {
    ListCell *cell;
    foreach (cell, query->rtable) {
        const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
        if (entry->rtekind == RTE_CTE && entry->ctelevelsup > 0) return false;
    }
    Index depth = 0;
    return !walk_query(query, refers_outside, &depth);
}

Query *driving_rows(const Driver &driver) {
    const Query *level = driver.level;
    // The conditions of a MERGE say what is to be done with a row, not which rows there are.
    if (level->commandType == CMD_MERGE || changes_data(level)) return nullptr;
    Query *query = makeNode(Query);
    query->commandType = CMD_SELECT;
    query->canSetTag = true;
    query->hasSubLinks = level->hasSubLinks;
    query->hasRecursive = level->hasRecursive;
    query->hasRowSecurity = level->hasRowSecurity;
    query->cteList = level->cteList;
    query->rtable = level->rtable;
#if PG_VERSION_NUM >= 160000
    query->rteperminfos = level->rteperminfos;
#endif
    query->jointree = level->jointree;
    query = static_cast<Query *>(copyObjectImpl(query));
    ask_for_select(query, driver.rtindex);
    const bool repeatable = !contain_volatile_functions(reinterpret_cast<Node *>(query));
    return repeatable && stands_alone(query) ? query : nullptr;
}

} // namespace stride::analysis
