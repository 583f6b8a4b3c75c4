// Planning with a look at the result: is the driving relation reached through its key, and does anything sort.
// Regime: pg.  Locks: those that parse analysis, rewriting and planning take.  May not change the session's settings
// beyond its own GUC nest level.
#include "walk/plan.hpp"

#include "pg/session.hpp"

namespace stride::walk {
namespace {

struct Findings {
    Oid relation;
    Oid index;
    Access access;
    List *rtable;
    bool read;   // some node reads the relation
    bool by_key; // one does so through the index
    bool sorts;
};

// Whether an index condition compares with a constant, as a range's do; a join's own look-ups compare with Params.
bool has_constant_bound(List *index_quals) {
    for (int i = 0; i < list_length(index_quals); i++) {
        Node *qual = static_cast<Node *>(list_nth(index_quals, i));
        List *bounds = NIL;
        if (IsA(qual, OpExpr))
            bounds = list_make1(llast(castNode(OpExpr, qual)->args));
        else if (IsA(qual, RowCompareExpr))
            bounds = castNode(RowCompareExpr, qual)->rargs;
        for (int j = 0; j < list_length(bounds); j++)
            if (IsA(list_nth(bounds, j), Const)) return true;
    }
    return false;
}

bool scans_key(const Findings &findings, Oid index, List *index_quals) {
    if (index != findings.index) return false;
    return findings.access == Access::key_lookup ? index_quals != NIL : has_constant_bound(index_quals);
}

// Whether every row of a bitmap comes through the index.
bool bitmap_by_key(const Plan *plan, const Findings &findings) {
    check_stack_depth();
    if (IsA(plan, BitmapIndexScan)) {
        const auto *scan = reinterpret_cast<const BitmapIndexScan *>(plan);
        return scans_key(findings, scan->indexid, scan->indexqual);
    }
    if (!IsA(plan, BitmapAnd) && !IsA(plan, BitmapOr)) return false;
    const bool every = IsA(plan, BitmapOr);
    List *inputs = every ? reinterpret_cast<const BitmapOr *>(plan)->bitmapplans
                         : reinterpret_cast<const BitmapAnd *>(plan)->bitmapplans;
    for (int i = 0; i < list_length(inputs); i++)
        if (bitmap_by_key(static_cast<const Plan *>(list_nth(inputs, i)), findings) != every) return !every;
    return every;
}

bool scan_by_key(const Plan *plan, const Findings &findings) {
    switch (nodeTag(plan)) {
    case T_IndexScan: {
        const auto *scan = reinterpret_cast<const IndexScan *>(plan);
        return scans_key(findings, scan->indexid, scan->indexqual);
    }
    case T_IndexOnlyScan: {
        const auto *scan = reinterpret_cast<const IndexOnlyScan *>(plan);
        return scans_key(findings, scan->indexid, scan->indexqual);
    }
    case T_BitmapHeapScan:
        return bitmap_by_key(plan->lefttree, findings);
    case T_TidRangeScan:
    case T_TidScan:
        return !OidIsValid(findings.index); // of a block walk
    default:
        return false;
    }
}

bool reads_relation(const Plan *plan, const Findings &findings) {
    switch (nodeTag(plan)) {
    case T_SeqScan:
    case T_SampleScan:
    case T_IndexScan:
    case T_IndexOnlyScan:
    case T_BitmapHeapScan:
    case T_TidScan:
    case T_TidRangeScan:
    case T_ForeignScan:
    case T_CustomScan: {
        const Index rtindex = reinterpret_cast<const Scan *>(plan)->scanrelid;
        return rtindex > 0 && rt_fetch(rtindex, findings.rtable)->relid == findings.relation;
    }
    default:
        return false;
    }
}

void look(const Plan *plan, Findings *findings);

void look_at_all(List *plans, Findings *findings) {
    for (int i = 0; i < list_length(plans); i++)
        look(static_cast<const Plan *>(list_nth(plans, i)), findings);
}

void look(const Plan *plan, Findings *findings) {
    check_stack_depth();
    if (plan == nullptr) return;
    if (IsA(plan, Sort) || IsA(plan, IncrementalSort)) findings->sorts = true;
    if (reads_relation(plan, *findings)) {
        findings->read = true;
        findings->by_key = findings->by_key || scan_by_key(plan, *findings);
    }
    look(plan->lefttree, findings);
    look(plan->righttree, findings);
    switch (nodeTag(plan)) {
    case T_Append:
        look_at_all(reinterpret_cast<const Append *>(plan)->appendplans, findings);
        break;
    case T_MergeAppend:
        look_at_all(reinterpret_cast<const MergeAppend *>(plan)->mergeplans, findings);
        break;
    case T_SubqueryScan:
        look(reinterpret_cast<const SubqueryScan *>(plan)->subplan, findings);
        break;
    case T_CustomScan:
        look_at_all(reinterpret_cast<const CustomScan *>(plan)->custom_plans, findings);
        break;
    default:
        break;
    }
}

WalkPlan judge(PlannedStmt *statement, const Driving &driving) {
    Findings findings = {driving.table.child, driving.index, driving.access, statement->rtable, false, false, false};
    look(statement->planTree, &findings);
    const bool sorts = findings.sorts;
    look_at_all(statement->subplans, &findings);
    return WalkPlan{statement, driving.access == Access::any || findings.by_key || !findings.read, sorts};
}

Query *rewrite(Query *query) {
    AcquireRewriteLocks(query, true, false);
    List *queries = pg_rewrite_query(query);
    if (list_length(queries) != 1 || linitial_node(Query, queries)->commandType == CMD_UTILITY)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("a rule turns the statement into %d statements", list_length(queries)),
                        errhint("Drop the rule, or use a trigger instead of it.")));
    return linitial_node(Query, queries);
}

// Rewrites a query, and puts the table that is walked in its place there.
class Rewritten {
public:
    Rewritten(Query *query, const Driving &driving) {
        const bool whole = driving.table.parent == driving.table.child && !driving.entry->inh;
        if (!whole) mark(driving.entry, driving.table);
        if (!whole && driving.second != nullptr) mark(driving.second, driving.table);
        query_ = rewrite(query);
        for (int i = 0; i < nmarked_; i++)
            pg::put_child(query_, marked_[i]);
    }
    Query *query() const { return query_; }
    WalkPlan plan(Query *query, const char *sql, const Driving &driving) const {
        PlannedStmt *statement = pg_plan_query(query, sql, 0, nullptr);
        // Not compiled: that takes longer than a chunk has rows for, whatever the planner guesses of a table without
        // statistics, and 10 MB of each worker.
        statement->jitFlags = 0;
        for (int i = 0; i < nmarked_; i++)
            pg::complete_child_plan(statement, marked_[i]);
        return judge(statement, driving);
    }

private:
    void mark(RangeTblEntry *entry, const pg::ChildTable &table) {
        marked_[nmarked_] = pg::mark_table(entry, table, nmarked_);
        nmarked_++;
    }

    pg::MarkedTable marked_[2];
    int nmarked_ = 0;
    Query *query_;
};

} // namespace

WalkPlan plan_walk(Query *query, const char *sql, const Driving &driving) {
    const Rewritten rewritten(query, driving);
    // The planner scribbles on its input.  (copyObject() itself is a macro over typeof.)
    auto *again = static_cast<Query *>(copyObjectImpl(rewritten.query()));
    const WalkPlan first = rewritten.plan(rewritten.query(), sql, driving);
    if (first.as_wanted) return first;

    static constexpr struct {
        const char *name;
        const char *value;
    } settings[] = {
        {"enable_seqscan", "off"}, {"enable_indexscan", "on"}, {"enable_bitmapscan", "on"}, {"enable_tidscan", "on"}};
    const int level = NewGUCNestLevel();
    for (const auto &setting : settings)
        (void)set_config_option(setting.name, setting.value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                                false);
    const WalkPlan second = rewritten.plan(again, sql, driving);
    AtEOXact_GUC(false, level);
    if (!second.as_wanted) return first;
    return second;
}

PlannedStmt *plan_whole(Query *query, const char *sql) {
    return pg_plan_query(rewrite(query), sql, 0, nullptr);
}

PlannedStmt *plan_parallel(Query *query, const char *sql) {
    // Our workers, which are many, have set it to 0 for their sessions.
    static constexpr const char *setting = "max_parallel_workers_per_gather";
    const int level = NewGUCNestLevel();
    (void)set_config_option(setting, GetConfigOptionResetString(setting), PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                            true, 0, false);
    Query *rewritten = rewrite(query);
    // A volatile function may run commands, which nobody can in a parallel plan once a row was written beside it.
    const bool volatile_calls = contain_volatile_functions(reinterpret_cast<Node *>(rewritten));
    PlannedStmt *plan = pg_plan_query(rewritten, sql, volatile_calls ? 0 : CURSOR_OPT_PARALLEL_OK, nullptr);
    AtEOXact_GUC(false, level);
    return plan;
}

Query *analyse_own(const char *sql) {
    const int level = pg::pin_search_path();
    List *statements = pg_parse_query(sql);
    if (list_length(statements) != 1) elog(ERROR, "expected one statement: %s", sql);
    Query *query = parse_analyze_fixedparams(linitial_node(RawStmt, statements), sql, nullptr, 0, nullptr);
    pg::unpin(level);
    return query;
}

void run_plan(PlannedStmt *statement, const char *sql, DestReceiver *receiver) {
    QueryDesc *description =
        CreateQueryDesc(statement, sql, GetActiveSnapshot(), InvalidSnapshot, receiver, nullptr, nullptr, 0);
    ExecutorStart(description, 0);
#if PG_VERSION_NUM >= 180000
    ExecutorRun(description, ForwardScanDirection, 0);
#else
    ExecutorRun(description, ForwardScanDirection, 0, true);
#endif
    ExecutorFinish(description);
    ExecutorEnd(description);
    FreeQueryDesc(description);
}

} // namespace stride::walk
