// The feed: a CustomScan of our own, put into the finished plan.
// Regime: pg.
#include <utility>

#include "sink/feed.hpp"

namespace stride::sink {
namespace {

// What the order is made of, in the columns' order in the key; in a plan node as five Lists.
struct FeedKey {
    int columns;
    AttrNumber numbers[INDEX_MAX_KEYS + 1];
    Oid operators[INDEX_MAX_KEYS + 1];
    Oid collations[INDEX_MAX_KEYS + 1];
    bool nulls_first[INDEX_MAX_KEYS + 1];
    bool nulls_are_equal;
};

struct Feed {
    CustomScanState node; // first: the executor knows the feed by it
    FeedKey key;          // followed by the row's place in the input, so that equal keys keep their order
    bool keeps_last;
    Tuplesortstate *sort;
    SortSupportData *compare;
    TupleTableSlot *numbered; // a row with its place, on its way into the sort
    TupleTableSlot *current;
    TupleTableSlot *ahead;
    bool has_ahead;
    Fed fed;
};

void add_column(FeedKey *key, AttrNumber number, Oid operator_oid, Oid collation, bool nulls_first) {
    key->numbers[key->columns] = number;
    key->operators[key->columns] = operator_oid;
    key->collations[key->columns] = collation;
    key->nulls_first[key->columns] = nulls_first;
    key->columns++;
}

// The order of an index of plain columns; false if it is none that rows can be ordered by.
bool key_of_index(Oid index_oid, FeedKey *key) {
    Relation index = index_open(index_oid, AccessShareLock);
    const Form_pg_index form = index->rd_index;
    bool usable = form->indisunique && form->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
                  heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
    *key = {};
    key->nulls_are_equal = form->indnullsnotdistinct;
    for (int i = 0; usable && i < form->indnkeyatts; i++) {
        const bool descending = (index->rd_indoption[i] & INDOPTION_DESC) != 0;
        const Oid operator_oid =
            get_opfamily_member(index->rd_opfamily[i], index->rd_opcintype[i], index->rd_opcintype[i],
                                descending ? BTGreaterStrategyNumber : BTLessStrategyNumber);
        usable = form->indkey.values[i] > 0 && OidIsValid(operator_oid);
        add_column(key, form->indkey.values[i], operator_oid, index->rd_indcollation[i],
                   (index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0);
    }
    index_close(index, NoLock);
    return usable;
}

// The primary key, else any other: what DO NOTHING without a conflict target meets first.
bool any_key(Oid target, FeedKey *key) {
    Relation relation = table_open(target, NoLock);
    List *indexes = RelationGetIndexList(relation);
    if (OidIsValid(relation->rd_pkindex)) indexes = lcons_oid(relation->rd_pkindex, indexes);
    bool found = false;
    for (int i = 0; i < list_length(indexes) && !found; i++)
        found = key_of_index(list_nth_oid(indexes, i), key);
    table_close(relation, NoLock);
    return found;
}

FeedKey conflict_key(const PlannedStmt *plan, const ModifyTable *modify) {
    FeedKey key = {};
    if (modify->onConflictAction == ONCONFLICT_NONE) return key;
    bool found = false;
    for (int i = 0; i < list_length(modify->arbiterIndexes) && !found; i++)
        found = key_of_index(list_nth_oid(modify->arbiterIndexes, i), &key);
    if (modify->arbiterIndexes == NIL)
        found = any_key(rt_fetch(static_cast<Index>(linitial_int(modify->resultRelations)), plan->rtable)->relid, &key);
    return found ? key : FeedKey{};
}

// A scan that gives rows in the order of an index.
struct OrderedScan {
    const Scan *scan;
    Oid index;
    List *conditions;
    ScanDirection direction;
    bool index_only; // its columns are those of the index, not of the table
};

bool is_ordered_scan(const Plan *plan, OrderedScan *found) {
    if (IsA(plan, IndexScan)) {
        const IndexScan *node = reinterpret_cast<const IndexScan *>(plan);
        *found = {&node->scan, node->indexid, node->indexqual, node->indexorderdir, false};
        return true;
    }
    if (IsA(plan, IndexOnlyScan)) {
        const IndexOnlyScan *node = reinterpret_cast<const IndexOnlyScan *>(plan);
        *found = {&node->scan, node->indexid, node->indexqual, node->indexorderdir, true};
        return true;
    }
    return false;
}

// Whether a result column of the scan is just the key's column of the index.
bool gives_column(const OrderedScan &scan, AttrNumber result, const FeedKey &key, int column) {
    const int varno = scan.index_only ? static_cast<int>(INDEX_VAR) : static_cast<int>(scan.scan->scanrelid);
    const int number = scan.index_only ? column + 1 : key.numbers[column];
    ListCell *cell;
    foreach (cell, scan.scan->plan.targetlist) {
        const TargetEntry *entry = lfirst_node(TargetEntry, cell);
        if (entry->resno != result || !IsA(entry->expr, Var)) continue;
        const Var *var = reinterpret_cast<const Var *>(entry->expr);
        return var->varno == varno && var->varattno == number;
    }
    return false;
}

bool has_array_condition(const List *conditions) {
    ListCell *cell;
    foreach (cell, conditions)
        if (IsA(lfirst(cell), ScalarArrayOpExpr)) return true;
    return false;
}

bool same_order(const FeedKey &one, const FeedKey &other, int column) {
    return one.operators[column] == other.operators[column] && one.collations[column] == other.collations[column] &&
           one.nulls_first[column] == other.nulls_first[column];
}

// Whether the rows come from a scan of a unique index over just these columns, as when a table is walked by the key that
// the target has too: they are in order, and no two are the same.  Conditions with arrays may be tried value by value.
bool comes_in_order(const Plan *input, const FeedKey &key) {
    OrderedScan scan;
    if (!is_ordered_scan(input, &scan)) return false;
    FeedKey scanned;
    if (!ScanDirectionIsForward(scan.direction) || has_array_condition(scan.conditions)) return false;
    if (!key_of_index(scan.index, &scanned) || scanned.columns != key.columns) return false;
    if (key.nulls_are_equal && !scanned.nulls_are_equal) return false;
    for (int i = 0; i < key.columns; i++)
        if (!gives_column(scan, key.numbers[i], scanned, i) || !same_order(key, scanned, i)) return false;
    return true;
}

List *store_key(const FeedKey &key, bool keeps_last) {
    List *numbers = NIL;
    List *operators = NIL;
    List *collations = NIL;
    List *nulls_first = NIL;
    for (int i = 0; i < key.columns; i++) {
        numbers = lappend_int(numbers, key.numbers[i]);
        operators = lappend_oid(operators, key.operators[i]);
        collations = lappend_oid(collations, key.collations[i]);
        nulls_first = lappend_int(nulls_first, key.nulls_first[i]);
    }
    return list_make5(numbers, operators, collations, nulls_first, list_make2_int(key.nulls_are_equal, keeps_last));
}

void load_key(const CustomScan *plan, Feed *feed) {
    List *numbers = static_cast<List *>(list_nth(plan->custom_private, 0));
    for (int i = 0; i < list_length(numbers); i++)
        add_column(&feed->key, static_cast<AttrNumber>(list_nth_int(numbers, i)),
                   list_nth_oid(static_cast<List *>(list_nth(plan->custom_private, 1)), i),
                   list_nth_oid(static_cast<List *>(list_nth(plan->custom_private, 2)), i),
                   list_nth_int(static_cast<List *>(list_nth(plan->custom_private, 3)), i) != 0);
    List *flags = static_cast<List *>(list_nth(plan->custom_private, 4));
    feed->key.nulls_are_equal = linitial_int(flags) != 0;
    feed->keeps_last = lsecond_int(flags) != 0;
}

void prepare_sort(Feed *feed, EState *estate, TupleDesc row) {
    TupleDesc numbered = CreateTemplateTupleDesc(row->natts + 1);
    for (int i = 1; i <= row->natts; i++)
        TupleDescCopyEntry(numbered, static_cast<AttrNumber>(i), row, static_cast<AttrNumber>(i));
    const AttrNumber place = static_cast<AttrNumber>(row->natts + 1);
    TupleDescInitEntry(numbered, place, "place", INT8OID, -1, 0);
    feed->numbered = ExecInitExtraTupleSlot(estate, numbered, &TTSOpsVirtual);
    feed->current = ExecInitExtraTupleSlot(estate, numbered, &TTSOpsMinimalTuple);
    feed->ahead = ExecInitExtraTupleSlot(estate, numbered, &TTSOpsMinimalTuple);
    feed->compare =
        static_cast<SortSupportData *>(palloc0(sizeof(SortSupportData) * static_cast<Size>(feed->key.columns)));
    for (int i = 0; i < feed->key.columns; i++) {
        SortSupport compare = &feed->compare[i];
        compare->ssup_cxt = CurrentMemoryContext;
        compare->ssup_collation = feed->key.collations[i];
        compare->ssup_nulls_first = feed->key.nulls_first[i];
        compare->ssup_attno = feed->key.numbers[i];
        PrepareSortSupportFromOrderingOp(feed->key.operators[i], compare);
    }
    add_column(&feed->key, place, Int8LessOperator, InvalidOid, false);
    feed->sort = tuplesort_begin_heap(numbered, feed->key.columns, feed->key.numbers, feed->key.operators,
                                      feed->key.collations, feed->key.nulls_first, work_mem, nullptr, TUPLESORT_NONE);
}

void begin_feed(CustomScanState *node, EState *estate, int eflags) {
    Feed *feed = reinterpret_cast<Feed *>(node);
    const CustomScan *plan = castNode(CustomScan, node->ss.ps.plan);
    outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, eflags);
    load_key(plan, feed);
}

void put_row(Feed *feed, TupleTableSlot *row) {
    const int columns = row->tts_tupleDescriptor->natts;
    slot_getallattrs(row);
    ExecClearTuple(feed->numbered);
    memcpy(feed->numbered->tts_values, row->tts_values, sizeof(Datum) * static_cast<Size>(columns));
    memcpy(feed->numbered->tts_isnull, row->tts_isnull, sizeof(bool) * static_cast<Size>(columns));
    feed->numbered->tts_values[columns] = Int64GetDatum(static_cast<int64>(feed->fed.rows));
    feed->numbered->tts_isnull[columns] = false;
    ExecStoreVirtualTuple(feed->numbered);
    tuplesort_puttupleslot(feed->sort, feed->numbered);
    feed->fed.rows++;
}

bool look_ahead(Feed *feed) {
    return tuplesort_gettupleslot(feed->sort, true, true, feed->ahead, nullptr);
}

void sort_rows(Feed *feed) {
    PlanState *rows = outerPlanState(&feed->node);
    prepare_sort(feed, feed->node.ss.ps.state, ExecGetResultType(rows));
    for (TupleTableSlot *row = ExecProcNode(rows); !TupIsNull(row); row = ExecProcNode(rows))
        put_row(feed, row);
    tuplesort_performsort(feed->sort);
    feed->has_ahead = look_ahead(feed);
}

// Whether the row ahead would meet the current one in the unique index.
bool same_key(const Feed *feed) {
    for (int i = 0; i < feed->key.columns - 1; i++) {
        bool null;
        bool null_ahead;
        const Datum value = slot_getattr(feed->current, feed->key.numbers[i], &null);
        const Datum value_ahead = slot_getattr(feed->ahead, feed->key.numbers[i], &null_ahead);
        if ((null || null_ahead) && !feed->key.nulls_are_equal) return false;
        if (ApplySortComparator(value, null, value_ahead, null_ahead, &feed->compare[i]) != 0) return false;
    }
    return true;
}

// The sorted row without its place.
TupleTableSlot *hand_on(Feed *feed) {
    TupleTableSlot *row = feed->node.ss.ps.ps_ResultTupleSlot;
    const int columns = row->tts_tupleDescriptor->natts;
    slot_getallattrs(feed->current);
    ExecClearTuple(row);
    memcpy(row->tts_values, feed->current->tts_values, sizeof(Datum) * static_cast<Size>(columns));
    memcpy(row->tts_isnull, feed->current->tts_isnull, sizeof(bool) * static_cast<Size>(columns));
    return ExecStoreVirtualTuple(row);
}

TupleTableSlot *next_sorted(Feed *feed) {
    while (feed->has_ahead) {
        std::swap(feed->current, feed->ahead);
        feed->has_ahead = look_ahead(feed);
        if (!feed->keeps_last || !feed->has_ahead || !same_key(feed)) return hand_on(feed);
        feed->fed.dropped++;
    }
    return nullptr;
}

TupleTableSlot *exec_feed(CustomScanState *node) {
    Feed *feed = reinterpret_cast<Feed *>(node);
    if (feed->key.columns == 0) {
        TupleTableSlot *row = ExecProcNode(outerPlanState(node));
        if (!TupIsNull(row)) feed->fed.rows++;
        return row;
    }
    if (feed->sort == nullptr) sort_rows(feed);
    return next_sorted(feed);
}

void end_feed(CustomScanState *node) {
    Feed *feed = reinterpret_cast<Feed *>(node);
    if (feed->sort != nullptr) tuplesort_end(feed->sort);
    ExecEndNode(outerPlanState(node));
}

void rescan_feed(CustomScanState *) {
    elog(ERROR, "the rows of an INSERT are read once");
}

constexpr CustomExecMethods exec_methods = {.CustomName = "pg_stride feed",
                                            .BeginCustomScan = begin_feed,
                                            .ExecCustomScan = exec_feed,
                                            .EndCustomScan = end_feed,
                                            .ReScanCustomScan = rescan_feed,
                                            .MarkPosCustomScan = nullptr,
                                            .RestrPosCustomScan = nullptr,
                                            .EstimateDSMCustomScan = nullptr,
                                            .InitializeDSMCustomScan = nullptr,
                                            .ReInitializeDSMCustomScan = nullptr,
                                            .InitializeWorkerCustomScan = nullptr,
                                            .ShutdownCustomScan = nullptr,
                                            .ExplainCustomScan = nullptr};

Node *create_feed(CustomScan *) {
    Feed *feed = static_cast<Feed *>(palloc0(sizeof(Feed)));
    NodeSetTag(feed, T_CustomScanState);
    feed->node.methods = &exec_methods;
    return reinterpret_cast<Node *>(feed);
}

constexpr CustomScanMethods scan_methods = {"pg_stride feed", create_feed};

TargetEntry *entry_for(const TargetEntry *of, int varno) {
    Expr *value = reinterpret_cast<Expr *>(makeVarFromTargetEntry(varno, const_cast<TargetEntry *>(of)));
    return makeTargetEntry(value, of->resno, of->resname, false);
}

// The node, with the child's columns as its own.  Constants stay what they are: the executor asks for one where the
// target has a dropped column.
CustomScan *feed_over(Plan *child) {
    CustomScan *feed = makeNode(CustomScan);
    Plan *plan = &feed->scan.plan;
    plan->startup_cost = child->total_cost;
    plan->total_cost = child->total_cost;
    plan->plan_rows = child->plan_rows;
    plan->plan_width = child->plan_width;
    plan->plan_node_id = child->plan_node_id;
    plan->extParam = bms_copy(child->extParam);
    plan->allParam = bms_copy(child->allParam);
    outerPlan(plan) = child;
    ListCell *cell;
    foreach (cell, child->targetlist) {
        TargetEntry *entry = lfirst_node(TargetEntry, cell);
        feed->custom_scan_tlist = lappend(feed->custom_scan_tlist, entry_for(entry, OUTER_VAR));
        plan->targetlist =
            lappend(plan->targetlist, IsA(entry->expr, Const) ? static_cast<TargetEntry *>(copyObjectImpl(entry))
                                                              : entry_for(entry, INDEX_VAR));
    }
    feed->methods = &scan_methods;
    return feed;
}

bool has_junk(const List *targetlist) {
    ListCell *cell;
    foreach (cell, targetlist)
        if (lfirst_node(TargetEntry, cell)->resjunk) return true;
    return false;
}

} // namespace

void add_feed(PlannedStmt *plan, bool keeps_last) {
    if (plan->commandType != CMD_INSERT || !IsA(plan->planTree, ModifyTable)) return;
    ModifyTable *modify = castNode(ModifyTable, plan->planTree);
    if (has_junk(outerPlan(modify)->targetlist)) return;
    const FeedKey key = conflict_key(plan, modify);
    const bool sorts = key.columns > 0 && !comes_in_order(outerPlan(modify), key);
    CustomScan *feed = feed_over(outerPlan(modify));
    feed->custom_private = store_key(sorts ? key : FeedKey{}, keeps_last);
    outerPlan(modify) = &feed->scan.plan;
}

Fed fed_rows(const QueryDesc *query, uint64 otherwise) {
    PlanState *rows = outerPlanState(query->planstate);
    if (rows == nullptr || !IsA(rows, CustomScanState) ||
        reinterpret_cast<CustomScanState *>(rows)->methods != &exec_methods)
        return Fed{otherwise, 0};
    return reinterpret_cast<Feed *>(rows)->fed;
}

} // namespace stride::sink
