// Which table reference drives a statement: collects the tables in FROM, through subqueries and CTEs, with what stands
// in the way of a range on each, and chooses one.
// Regime: pg.  Locks: none; relations were locked by parse analysis.  May not execute anything.
#include <cstring>

#include "analysis/analysis.hpp"
#include "walk/key.hpp"
#include "walk/plan.hpp"

namespace stride::analysis {
namespace {

struct Collector {
    List *levels;     // Query *, outermost first: where CTE references are resolved
    List *found;      // Candidate *: tables
    List *others;     // Candidate *: what else gives rows by itself
    Query *mergeable; // the level whose aggregates are partial results merged by ON CONFLICT DO UPDATE, or nullptr
};

void collect_level(Collector &collector, Query *level, Obstacle outer);
void collect_item(Collector &collector, Query *level, Node *item, Obstacle obstacle);

Obstacle first_of(Obstacle outer, Obstacle inner) {
    return outer == Obstacle::none ? inner : outer;
}

// OFFSET 0, the usual fence between query levels, leaves every row where it is.
bool is_zero_offset(const Node *offset) {
    if (IsA(offset, FuncExpr)) {
        const FuncExpr *cast = reinterpret_cast<const FuncExpr *>(offset);
        if (cast->funcformat != COERCE_IMPLICIT_CAST || list_length(cast->args) != 1) return false;
        offset = static_cast<const Node *>(linitial(cast->args));
    }
    if (!IsA(offset, Const)) return false;
    const Const *value = reinterpret_cast<const Const *>(offset);
    if (value->constisnull) return false;
    return (value->consttype == INT4OID && DatumGetInt32(value->constvalue) == 0) ||
           (value->consttype == INT8OID && DatumGetInt64(value->constvalue) == 0);
}

// What this query level does to its rows that a part of them would not give the same.
Obstacle level_obstacle(const Query *level, bool mergeable) {
    if (level->setOperations != nullptr) return Obstacle::set_operation;
    if (level->limitCount != nullptr) return Obstacle::limit;
    if (level->limitOffset != nullptr && !is_zero_offset(level->limitOffset)) return Obstacle::limit;
    if (level->distinctClause != NIL) return Obstacle::distinct;
    if (level->hasWindowFuncs) return Obstacle::window;
    if (level->havingQual != nullptr) return Obstacle::having;
    if (!mergeable && (level->hasAggs || level->groupClause != NIL || level->groupingSets != NIL))
        return Obstacle::aggregate;
    return Obstacle::none;
}

// The WITH query that a reference means, in whichever level above holds it; *depth is that level's number.
const CommonTableExpr *find_cte(List *levels, const RangeTblEntry *rte, int *depth) {
    *depth = list_length(levels) - 1 - static_cast<int>(rte->ctelevelsup);
    if (*depth < 0) return nullptr;
    ListCell *cell;
    foreach (cell, static_cast<Query *>(list_nth(levels, *depth))->cteList) {
        const CommonTableExpr *cte = lfirst_node(CommonTableExpr, cell);
        if (std::strcmp(cte->ctename, rte->ctename) == 0 && IsA(cte->ctequery, Query)) return cte;
    }
    return nullptr;
}

void collect_cte(Collector &collector, const RangeTblEntry *rte, Obstacle obstacle) {
    int depth;
    const CommonTableExpr *cte = find_cte(collector.levels, rte, &depth);
    if (cte == nullptr || list_member_ptr(collector.levels, cte->ctequery)) return;
    if (cte->cterecursive) {
        obstacle = first_of(obstacle, Obstacle::recursive_cte);
    } else if (cte->cterefcount > 1) {
        obstacle = first_of(obstacle, Obstacle::shared_cte);
    }
    List *levels = collector.levels;
    collector.levels = list_truncate(list_copy(levels), depth + 1);
    collect_level(collector, reinterpret_cast<Query *>(cte->ctequery), obstacle);
    collector.levels = levels;
}

bool is_table(const RangeTblEntry *rte) {
    return rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW && rte->relkind != RELKIND_MATVIEW;
}

bool gives_rows(const RangeTblEntry *rte) {
    const bool generated = rte->rtekind == RTE_FUNCTION || rte->rtekind == RTE_VALUES || rte->rtekind == RTE_TABLEFUNC;
    return rte->rtekind == RTE_RELATION || (generated && !rte->lateral);
}

void collect_entry(Collector &collector, Query *level, int rtindex, Obstacle obstacle) {
    RangeTblEntry *rte = entry_at(level, rtindex);
    if (rte->rtekind == RTE_SUBQUERY) {
        collect_level(collector, rte->subquery, obstacle);
    } else if (rte->rtekind == RTE_CTE) {
        collect_cte(collector, rte, obstacle);
    } else if (gives_rows(rte)) {
        Candidate *candidate = static_cast<Candidate *>(palloc(sizeof(Candidate)));
        *candidate = Candidate{level, rtindex, obstacle};
        List **list = is_table(rte) ? &collector.found : &collector.others;
        *list = lappend(*list, candidate);
    }
}

void collect_item(Collector &collector, Query *level, Node *item, Obstacle obstacle) {
    check_stack_depth();
    if (IsA(item, RangeTblRef)) {
        collect_entry(collector, level, reinterpret_cast<RangeTblRef *>(item)->rtindex, obstacle);
    } else if (IsA(item, JoinExpr)) {
        const JoinExpr *join = reinterpret_cast<JoinExpr *>(item);
        const bool null_left = join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL;
        const bool null_right = join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL;
        collect_item(collector, level, join->larg, null_left ? first_of(obstacle, Obstacle::outer_join) : obstacle);
        collect_item(collector, level, join->rarg, null_right ? first_of(obstacle, Obstacle::outer_join) : obstacle);
    } else if (IsA(item, FromExpr)) {
        ListCell *cell;
        foreach (cell, reinterpret_cast<FromExpr *>(item)->fromlist)
            collect_item(collector, level, static_cast<Node *>(lfirst(cell)), obstacle);
    }
}

void collect_level(Collector &collector, Query *level, Obstacle outer) {
    check_stack_depth();
    List *levels = collector.levels;
    collector.levels = lappend(list_copy(levels), level);
    const Obstacle obstacle = first_of(outer, level_obstacle(level, level == collector.mergeable));
    if (level->setOperations != nullptr) {
        for (int i = 1; i <= list_length(level->rtable); i++)
            if (entry_at(level, i)->rtekind == RTE_SUBQUERY) collect_entry(collector, level, i, obstacle);
    } else {
        collect_item(collector, level, reinterpret_cast<Node *>(level->jointree), obstacle);
    }
    collector.levels = levels;
}

// The SELECT of INSERT .. SELECT .. ON CONFLICT DO UPDATE: its aggregates are merged by the user's own rule.
Query *mergeable_level(Query *query) {
    if (query->commandType != CMD_INSERT || query->onConflict == nullptr ||
        query->onConflict->action != ONCONFLICT_UPDATE || list_length(query->jointree->fromlist) != 1)
        return nullptr;
    const Node *item = static_cast<Node *>(linitial(query->jointree->fromlist));
    if (!IsA(item, RangeTblRef)) return nullptr;
    const RangeTblEntry *rte = entry_at(query, reinterpret_cast<const RangeTblRef *>(item)->rtindex);
    return rte->rtekind == RTE_SUBQUERY ? rte->subquery : nullptr;
}

double relation_pages(const RangeTblEntry *rte) {
    double pages = 0;
    ListCell *cell;
    foreach (cell, relation_and_children(rte->relid, rte->inh)) {
        Relation relation = try_relation_open(lfirst_oid(cell), AccessShareLock);
        if (relation == nullptr) continue;
        if (RELKIND_HAS_STORAGE(relation->rd_rel->relkind)) {
            pages += RelationGetNumberOfBlocks(relation);
        } else if (relation->rd_rel->relpages > 0) {
            pages += relation->rd_rel->relpages;
        }
        relation_close(relation, AccessShareLock);
    }
    return pages;
}

struct Refusal {
    char *detail;
    const char *hint;
};

// The driving relation's name is put into the detail.
Refusal describe(Obstacle obstacle, const char *name) {
    switch (obstacle) {
    case Obstacle::set_operation:
        return {psprintf("UNION, INTERSECT or EXCEPT stands over the driving relation %s.", name),
                "Submit each branch of a UNION ALL as a job of its own; the other set operations need all rows at "
                "once."};
    case Obstacle::limit:
        return {
            psprintf("LIMIT or OFFSET stands over the driving relation %s, and would be applied to each chunk.", name),
            "Remove it, or say which rows are meant by a condition on the key in WHERE."};
    case Obstacle::distinct:
        return {psprintf("DISTINCT stands over the driving relation %s, and would be applied to each chunk.", name),
                "Insert into a table with a unique key with ON CONFLICT DO NOTHING instead of DISTINCT."};
    case Obstacle::window:
        return {psprintf("A window function stands over the driving relation %s, and would see one chunk's rows only.",
                         name),
                "Compute the window function into a table first, then drive the job from that table."};
    case Obstacle::having:
        return {psprintf("HAVING stands over the driving relation %s, and would judge one chunk's rows only.", name),
                "Insert the groups with ON CONFLICT DO UPDATE, then remove with a second statement those that HAVING "
                "excludes."};
    case Obstacle::aggregate:
        return {psprintf("An aggregate or GROUP BY stands over the driving relation %s, and would see one chunk's rows "
                         "only.",
                         name),
                "Use INSERT .. SELECT .. GROUP BY .. ON CONFLICT DO UPDATE with a SET that merges partial results, "
                "such as SET total = t.total + excluded.total."};
    case Obstacle::outer_join:
        return {psprintf("The driving relation %s is on the nullable side of an outer join: a chunk without a match "
                         "would add rows of NULLs.",
                         name),
                "Drive by the table on the other side of the join: name its alias in the argument \"source\"; a FULL "
                "JOIN has no such side, write it as a LEFT JOIN and an INSERT of the rows without a match."};
    case Obstacle::shared_cte:
        return {psprintf("The driving relation %s is read in a WITH query that is referred to more than once.", name),
                "Write the WITH query as a subquery where the driving rows come from."};
    case Obstacle::recursive_cte:
        return {psprintf("The driving relation %s is read in a recursive WITH query.", name),
                "Fill a table with the result of the recursion first, then drive the job from that table."};
    case Obstacle::none:
        break;
    }
    elog(ERROR, "no obstacle at the driving relation %s", name);
    pg_unreachable();
}

// `may_spool`: the rows of the whole query could be saved instead.
[[noreturn]] void refuse_obstacle(const Candidate &candidate, bool may_spool) {
    const RangeTblEntry *rte = entry_of(candidate);
    const Refusal refusal =
        describe(candidate.obstacle,
                 rte->rtekind == RTE_RELATION ? relation_name(rte->relid) : psprintf("\"%s\"", rte->eref->aliasname));
    refuse(refusal.detail,
           may_spool ? psprintf("%s Or have the rows of the whole query saved first, by walk => 'spool'.", refusal.hint)
                     : refusal.hint);
}

// The largest table of those that may drive the statement, or of those that something stands in the way of.
const Candidate *largest(List *found, bool blocked) {
    const Candidate *chosen = nullptr;
    double pages = -1;
    ListCell *cell;
    foreach (cell, found) {
        const Candidate *candidate = static_cast<Candidate *>(lfirst(cell));
        if ((candidate->obstacle != Obstacle::none) != blocked) continue;
        const double size = list_length(found) == 1 ? 0 : relation_pages(entry_of(*candidate));
        if (size <= pages) continue;
        chosen = candidate;
        pages = size;
    }
    return chosen;
}

// Whether the plan of the statement reads a foreign table beneath the entry.
bool reads_foreign_child(Query *query, const RangeTblEntry *rte) {
    List *foreign = NIL;
    ListCell *cell;
    foreach (cell, relation_and_children(rte->relid, rte->inh))
        if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
            foreign = lappend_oid(foreign, lfirst_oid(cell));
    if (foreign == NIL) return false;
    const char *sql = deparse(query);
    const PlannedStmt *plan = walk::plan_whole(analyse_stored(sql), sql);
    foreach (cell, plan->rtable) {
        const RangeTblEntry *read = lfirst_node(RangeTblEntry, cell);
        if (read->rtekind == RTE_RELATION && list_member_oid(foreign, read->relid)) return true;
    }
    return false;
}

// No index can be looked for, as it is no table of this server, or has a part that is none; or there is none, where that
// is no reason to turn the statement away.
bool is_keyless(Query *query, const RangeTblEntry *rte, bool spools) {
    return !is_table(rte) || rte->relkind == RELKIND_FOREIGN_TABLE || reads_foreign_child(query, rte) ||
           (spools && walk::lacks_key(rte->relid, rte->inh));
}

// The SELECT of an INSERT, or the source of a MERGE, as what drives it; nullptr where there is no such item, or several
// are joined.
const Candidate *whole_source(Query *query) {
    if (query->commandType != CMD_INSERT && query->commandType != CMD_MERGE) return nullptr;
    const Node *item = static_cast<Node *>(linitial(query->jointree->fromlist));
    if (!IsA(item, RangeTblRef)) return nullptr;
    Candidate *candidate = static_cast<Candidate *>(palloc(sizeof(Candidate)));
    *candidate = Candidate{query, reinterpret_cast<const RangeTblRef *>(item)->rtindex, Obstacle::none};
    return candidate;
}

// A MERGE that could not be cut, whatever drives it.
bool lacks_unique_source(Query *query) {
    return query->commandType == CMD_MERGE && !has_unique_source(query);
}

char *list_aliases(List *found) {
    StringInfoData names;
    initStringInfo(&names);
    ListCell *cell;
    foreach (cell, found)
        appendStringInfo(&names, "%s\"%s\"", names.len == 0 ? "" : ", ",
                         entry_of(*static_cast<Candidate *>(lfirst(cell)))->eref->aliasname);
    return names.data;
}

const Candidate *choose_named(List *found, const char *alias, bool own_levels) {
    const Candidate *chosen = nullptr;
    ListCell *cell;
    foreach (cell, found) {
        const Candidate *candidate = static_cast<Candidate *>(lfirst(cell));
        if (std::strcmp(entry_of(*candidate)->eref->aliasname, alias) != 0) continue;
        // One of a WITH query that is referred to twice is found twice.
        if (chosen != nullptr && entry_of(*candidate) != entry_of(*chosen))
            ereport(ERROR,
                    (errcode(ERRCODE_DUPLICATE_ALIAS),
                     errmsg("source \"%s\" names more than one table reference", alias),
                     errdetail("The statement can be driven by these table references: %s.", list_aliases(found)),
                     errhint("Give the table reference that is meant an alias of its own.")));
        chosen = candidate;
    }
    if (chosen == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("source \"%s\" is not a table reference that can drive the statement", alias),
                 errdetail("The statement can be driven by these table references: %s.", list_aliases(found)),
                 errhint("Name one of them, by its alias, in the argument \"source\", or leave the argument out.")));
    if (chosen->obstacle != Obstacle::none && !own_levels) refuse_obstacle(*chosen, false);
    return chosen;
}

Collector collect(Query *query) {
    Collector collector = {NIL, NIL, NIL, mergeable_level(query)};
    if (query->commandType == CMD_UPDATE || query->commandType == CMD_DELETE) {
        collect_entry(collector, query, query->resultRelation, Obstacle::none);
    } else {
        collect_level(collector, query, Obstacle::none);
    }
    return collector;
}

[[noreturn]] void refuse_no_table(Query *query) {
    bool view = false;
    for_each_query(query, [&view](Query *level) {
        ListCell *cell;
        foreach (cell, level->rtable) {
            const RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
            if (rte->relkind == RELKIND_VIEW || rte->relkind == RELKIND_MATVIEW) view = true;
        }
    });
    if (view)
        refuse("It reads views only, and a view has no key to walk by.",
               "Write the view's query over its tables in the statement's FROM, so that one of the tables can drive "
               "the job; or, for an INSERT .. SELECT or MERGE, leave out key and walk: the rows of the view are saved "
               "first.");
    refuse("It has no table in FROM to drive it.", "Name the table whose rows the job should walk in FROM.");
}

} // namespace

Query *cte_query(List *levels, const RangeTblEntry *rte, List **above) {
    int depth;
    const CommonTableExpr *cte = find_cte(levels, rte, &depth);
    if (cte == nullptr || cte->cterecursive || list_member_ptr(levels, cte->ctequery)) return nullptr;
    *above = list_truncate(list_copy(levels), depth + 1);
    return reinterpret_cast<Query *>(cte->ctequery);
}

bool is_simple_level(const Query *level) {
    return level_obstacle(level, false) == Obstacle::none;
}

List *candidates(Query *query) {
    return collect(query).found;
}

const Candidate *choose_driver(Query *query, List *found, const AnalysisOptions &options) {
    if (found == NIL) refuse_no_table(query);
    if (options.source_alias != nullptr) return choose_named(found, options.source_alias, options.own_levels);
    const Candidate *chosen = largest(found, false);
    if (chosen == nullptr) refuse_obstacle(*largest(found, true), whole_source(query) != nullptr);
    return chosen;
}

const Candidate *choose_keyless_driver(Query *query, const char *source_alias, bool spools) {
    const Collector collector = collect(query);
    const Candidate *chosen = nullptr;
    if (source_alias != nullptr) {
        chosen = choose_named(list_concat_copy(collector.found, collector.others), source_alias, false);
    } else {
        chosen = largest(collector.found, false);
        ListCell *cell;
        foreach (cell, collector.others) {
            const Candidate *other = static_cast<Candidate *>(lfirst(cell));
            if (chosen == nullptr && other->obstacle == Obstacle::none) chosen = other;
        }
        const Candidate *whole = whole_source(query);
        if (spools && whole != nullptr && (chosen == nullptr || lacks_unique_source(query))) return whole;
        if (chosen == nullptr && collector.found == NIL && collector.others != NIL)
            refuse_obstacle(*static_cast<Candidate *>(linitial(collector.others)), whole != nullptr);
    }
    return chosen == nullptr || !is_keyless(query, entry_of(*chosen), spools) ? nullptr : chosen;
}

} // namespace stride::analysis
