// The bulk sink: when it may be used, and one run of it.
// Regime: pg.
#include "sink/bulk.hpp"

#include "pg/tree.hpp"
#include "sink/bulk_target.hpp"

namespace stride::sink {
namespace {

struct Receiver {
    DestReceiver base;
    BulkTarget *target;
};

bool receive(TupleTableSlot *slot, DestReceiver *self) {
    add_row(reinterpret_cast<Receiver *>(self)->target, slot);
    return true;
}
void receiver_startup(DestReceiver *, int, TupleDesc) {}
void receiver_nothing(DestReceiver *) {}

// A function that the statement calls could read the target and see batches where the executor would show single rows.
bool is_foreign_volatile(Oid function, void *) {
    return function >= FirstNormalObjectId && func_volatile(function) == PROVOLATILE_VOLATILE;
}

bool calls_user_volatile(Node *node, void *context);

bool domain_calls_user_volatile(Oid domain) {
    // The memory context calls back to it when it is reset.
    auto *constraints = static_cast<DomainConstraintRef *>(palloc0(sizeof(DomainConstraintRef)));
    InitDomainConstraintRef(domain, constraints, CurrentMemoryContext, false);
    ListCell *cell;
    foreach (cell, constraints->constraints) {
        const auto *constraint = static_cast<const DomainConstraintState *>(lfirst(cell));
        if (calls_user_volatile(reinterpret_cast<Node *>(constraint->check_expr), nullptr)) return true;
    }
    return false;
}

bool calls_user_volatile(Node *node, void *context) {
    if (node == nullptr) return false;
    if (check_functions_in_node(node, is_foreign_volatile, context)) return true;
    if (IsA(node, CoerceToDomain) && domain_calls_user_volatile(castNode(CoerceToDomain, node)->resulttype))
        return true;
    return pg::walk_expression(node, calls_user_volatile, context);
}

// What a plan node computes besides its target list and its conditions.
Node *further_expressions(const Plan *plan) {
    switch (nodeTag(plan)) {
    case T_NestLoop:
    case T_MergeJoin:
    case T_HashJoin:
        return reinterpret_cast<Node *>(reinterpret_cast<const Join *>(plan)->joinqual);
    case T_Result:
        return reinterpret_cast<const Result *>(plan)->resconstantqual;
    case T_FunctionScan:
        return reinterpret_cast<Node *>(reinterpret_cast<const FunctionScan *>(plan)->functions);
    case T_ValuesScan:
        return reinterpret_cast<Node *>(reinterpret_cast<const ValuesScan *>(plan)->values_lists);
    case T_TableFuncScan:
        return reinterpret_cast<Node *>(reinterpret_cast<const TableFuncScan *>(plan)->tablefunc);
    case T_Limit:
        return reinterpret_cast<Node *>(list_make2(reinterpret_cast<const Limit *>(plan)->limitOffset,
                                                   reinterpret_cast<const Limit *>(plan)->limitCount));
    default:
        return nullptr;
    }
}

// The nodes beneath it besides the outer and the inner one.
List *further_plans(const Plan *plan) {
    switch (nodeTag(plan)) {
    case T_Append:
        return reinterpret_cast<const Append *>(plan)->appendplans;
    case T_MergeAppend:
        return reinterpret_cast<const MergeAppend *>(plan)->mergeplans;
    case T_SubqueryScan:
        return list_make1(reinterpret_cast<const SubqueryScan *>(plan)->subplan);
    default:
        return NIL;
    }
}

bool any_plan_calls_user_volatile(const List *plans);

// Expressions of a plan node and those beneath it.
bool plan_calls_user_volatile(const Plan *plan) {
    if (plan == nullptr) return false;
    return calls_user_volatile(reinterpret_cast<Node *>(plan->targetlist), nullptr) ||
           calls_user_volatile(reinterpret_cast<Node *>(plan->qual), nullptr) ||
           calls_user_volatile(further_expressions(plan), nullptr) ||
           any_plan_calls_user_volatile(further_plans(plan)) || plan_calls_user_volatile(outerPlan(plan)) ||
           plan_calls_user_volatile(innerPlan(plan));
}

bool any_plan_calls_user_volatile(const List *plans) {
    ListCell *cell;
    foreach (cell, plans)
        if (plan_calls_user_volatile(static_cast<Plan *>(lfirst(cell)))) return true;
    return false;
}

// Constraints are checked before the row is in the table, and a batch later than the rows before it.
bool check_calls_user_volatile(Relation relation) {
    const TupleConstr *constraints = RelationGetDescr(relation)->constr;
    for (int i = 0; constraints != nullptr && i < constraints->num_check; i++)
        if (calls_user_volatile(static_cast<Node *>(stringToNode(constraints->check[i].ccbin)), nullptr)) return true;
    return false;
}

bool is_after_row(const Trigger &trigger) {
    return TRIGGER_FOR_INSERT(trigger.tgtype) && TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_AFTER(trigger.tgtype);
}

// A trigger of a user's: those of foreign keys do not care for the order of rows.
bool has_after_row_trigger(const TriggerDesc *triggers) {
    for (int i = 0; i < triggers->numtriggers; i++)
        if (!triggers->triggers[i].tgisinternal && is_after_row(triggers->triggers[i])) return true;
    return false;
}

// The WHEN of such a trigger is judged as soon as its row is in the table, before the next row.
bool condition_calls_user_volatile(const TriggerDesc *triggers) {
    for (int i = 0; i < triggers->numtriggers; i++) {
        const Trigger &trigger = triggers->triggers[i];
        if (is_after_row(trigger) && trigger.tgqual != nullptr &&
            calls_user_volatile(static_cast<Node *>(stringToNode(trigger.tgqual)), nullptr))
            return true;
    }
    return false;
}

const char *table_refusal(Relation relation, bool routed) {
    const TriggerDesc *triggers = relation->trigdesc;
    const char relkind = relation->rd_rel->relkind;
    if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE) return "the target is not a table";
    if (relkind == RELKIND_RELATION && relation->rd_rel->relam != HEAP_TABLE_AM_OID)
        return "the target is not a heap table";
    if (check_calls_user_volatile(relation))
        return "a check constraint of the target calls a volatile function, which might read it";
    if (triggers == nullptr) return nullptr;
    if (triggers->trig_insert_before_row || triggers->trig_insert_instead_row)
        return "the target has a BEFORE or INSTEAD OF row trigger";
    if (routed && has_after_row_trigger(triggers))
        return "the target is partitioned, and has a row trigger that would see the rows leaf by leaf";
    if (condition_calls_user_volatile(triggers))
        return "the condition of a trigger of the target calls a volatile function, which might read it";
    if (triggers->trig_insert_new_table) return "the target has a trigger with a transition table";
    return nullptr;
}

// The target itself, and every leaf that a row may be routed to.
const char *target_refusal(Oid target) {
    const char *refusal = nullptr;
    List *tables = list_make1_oid(target);
    if (get_rel_relkind(target) == RELKIND_PARTITIONED_TABLE)
        tables = find_all_inheritors(target, RowExclusiveLock, nullptr);
    ListCell *cell;
    foreach (cell, tables) {
        Relation relation = table_open(lfirst_oid(cell), lfirst_oid(cell) == target ? AccessShareLock : NoLock);
        if (refusal == nullptr) refusal = table_refusal(relation, list_length(tables) > 1);
        table_close(relation, NoLock);
    }
    return refusal;
}

bool has_junk(const List *targetlist) {
    ListCell *cell;
    foreach (cell, targetlist)
        if (lfirst_node(TargetEntry, cell)->resjunk) return true;
    return false;
}

// The SELECT half of the planned INSERT, which the executor runs by itself.
PlannedStmt *select_half(PlannedStmt *plan) {
    const ModifyTable *modify = castNode(ModifyTable, plan->planTree);
    plan->planTree = outerPlan(modify);
    plan->planTree->initPlan = list_concat(plan->planTree->initPlan, modify->plan.initPlan);
    plan->commandType = CMD_SELECT;
    plan->resultRelations = NIL;
    return plan;
}

} // namespace

const char *bulk_refusal(PlannedStmt *plan) {
    if (plan->commandType != CMD_INSERT || !IsA(plan->planTree, ModifyTable))
        return "UPDATE, DELETE, MERGE and SELECT are the executor's";
    const ModifyTable *modify = castNode(ModifyTable, plan->planTree);
    if (modify->onConflictAction != ONCONFLICT_NONE) return "ON CONFLICT is the executor's";
    if (modify->withCheckOptionLists != NIL) return "the target has row security or a view's check option";
    if (modify->returningLists != NIL || list_length(modify->resultRelations) != 1) return "the statement returns rows";
    if (has_junk(outerPlan(modify)->targetlist)) return "the plan of the statement carries helper columns";
    if (plan_calls_user_volatile(outerPlan(modify)) || any_plan_calls_user_volatile(plan->subplans))
        return "the statement calls a volatile function, which might read the target";
    const RangeTblEntry *target = rt_fetch(static_cast<Index>(linitial_int(modify->resultRelations)), plan->rtable);
    return target_refusal(target->relid);
}

uint64 run_bulk(PlannedStmt *plan, const char *sql, QueryEnvironment *environment, PhaseTimes *times) {
    const Index target_index = static_cast<Index>(linitial_int(castNode(ModifyTable, plan->planTree)->resultRelations));
    Receiver receiver = {{receive, receiver_startup, receiver_nothing, receiver_nothing, DestNone}, nullptr};
    // The transaction's id is assigned before the plan starts: nothing may assign one while a plan runs in parallel.
    (void)GetCurrentTransactionId();
    QueryDesc *query = CreateQueryDesc(select_half(plan), sql, GetActiveSnapshot(), InvalidSnapshot, &receiver.base,
                                       nullptr, environment, 0);
    AfterTriggerBeginQuery();
    ExecutorStart(query, 0);
    const PhaseClock *clock = start_phase_clock(query);
    MemoryContext previous = MemoryContextSwitchTo(query->estate->es_query_cxt);
    receiver.target = open_target(query->estate, target_index);
    MemoryContextSwitchTo(previous);
#if PG_VERSION_NUM >= 180000
    ExecutorRun(query, ForwardScanDirection, 0);
#else
    ExecutorRun(query, ForwardScanDirection, 0, true);
#endif
    finish_target(receiver.target);
    const uint64 written = receiver.target->written;
    *times = read_phase_clock(clock);
    times->index_ms = receiver.target->index_ms;
    ExecutorFinish(query);
    AfterTriggerEndQuery(query->estate);
    close_target(receiver.target);
    ExecutorEnd(query);
    FreeQueryDesc(query);
    CommandCounterIncrement();
    return written;
}

} // namespace stride::sink
