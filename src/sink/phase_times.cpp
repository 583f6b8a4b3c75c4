// Clocks around what the executor calls once a row: nodes of the plan and their projections.
// Regime: pg.  A clock stands in the place of the function that it times and calls it.  PostgreSQL replaces these
// functions at their first calls, which the clocks allow for.
#include "sink/phase_times.hpp"

#include "pg/clock.hpp"

namespace stride::sink {
namespace {

constexpr int most_clocks = 24;    // of each kind; a plan with more has the rest counted as reading
constexpr uint64 early_calls = 64; // all timed: small chunks are exact
constexpr uint32 longest_gap = 31; // calls from one that is timed to the next: 16 on average

// The estimated time of all calls of one function.
struct Sampler {
    uint64 calls;
    double early_ms; // of the first ones
    uint64 timed;    // of the further ones
    double timed_ms;
    uint32 gap; // calls to be let go by
};

struct NodeClock {
    PlanState *node;
    ExecProcNodeMtd run;
    int transforms; // 1 = the node's time is the transform's, -1 = that of its child is not
    Sampler sampler;
};

struct ProjectionClock {
    ExprState *state;
    ExprStateEvalFunc run;
    Sampler sampler;
};

} // namespace

struct PhaseClock {
    instr_time start;
    const NodeClock *input; // the node whose rows are written
    int nnodes;
    int nprojections;
    NodeClock nodes[most_clocks];
    ProjectionClock projections[most_clocks];
};

namespace {

constinit PhaseClock *running = nullptr; // that of the plan that runs now or ran last

// Steps that are even would keep time with plans that repeat.
uint32 random_gap() {
    static constinit uint32 seed = 2463534242;
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % longest_gap;
}

template <class Call>
auto sample(Sampler *sampler, Call call) {
    const bool early = sampler->calls++ < early_calls;
    if (!early && sampler->gap > 0) {
        sampler->gap--;
        return call();
    }
    const instr_time start = pg::start_clock();
    const auto result = call();
    const double spent = pg::milliseconds_since(start);
    if (early) {
        sampler->early_ms += spent;
        return result;
    }
    sampler->timed++;
    sampler->timed_ms += spent;
    sampler->gap = random_gap();
    return result;
}

double estimate(const Sampler &sampler) {
    if (sampler.timed == 0) return sampler.early_ms;
    return sampler.early_ms +
           sampler.timed_ms * static_cast<double>(sampler.calls - early_calls) / static_cast<double>(sampler.timed);
}

TupleTableSlot *run_node(PlanState *node) {
    NodeClock *clock = running->nodes;
    while (clock->node != node)
        clock++;
    return sample(&clock->sampler, [clock, node] { return clock->run(node); });
}

Datum run_projection(ExprState *state, ExprContext *context, bool *isnull) {
    ProjectionClock *clock = running->projections;
    while (clock->state != state)
        clock++;
    const Datum result = sample(&clock->sampler, [&] { return clock->run(state, context, isnull); });
    if (state->evalfunc != run_projection) {
        // The first call has checked the expression and put the function for all further ones here.
        clock->run = state->evalfunc;
        state->evalfunc = run_projection;
    }
    return result;
}

// The node's clock, which it gets if it has none yet; nullptr if there are no more.
NodeClock *time_node(PhaseClock *clock, PlanState *node) {
    for (int i = 0; i < clock->nnodes; i++)
        if (clock->nodes[i].node == node) return &clock->nodes[i];
    if (clock->nnodes == most_clocks) return nullptr;
    NodeClock *timed = &clock->nodes[clock->nnodes++];
    timed->node = node;
    timed->run = node->ExecProcNodeReal;
    ExecSetExecProcNode(node, run_node);
    return timed;
}

// A projection of columns alone is the scan's own work.
bool computes(const Plan *plan) {
    ListCell *cell;
    foreach (cell, plan->targetlist) {
        const Expr *expression = lfirst_node(TargetEntry, cell)->expr;
        if (!IsA(expression, Var) && !IsA(expression, Const) && !IsA(expression, Aggref)) return true;
    }
    return false;
}

void time_projection(PhaseClock *clock, PlanState *node) {
    if (node->ps_ProjInfo == nullptr || !computes(node->plan) || clock->nprojections == most_clocks) return;
    ProjectionClock *timed = &clock->projections[clock->nprojections++];
    timed->state = &node->ps_ProjInfo->pi_state;
    timed->run = timed->state->evalfunc;
    timed->state->evalfunc = run_projection;
}

void add_transform(PhaseClock *clock, PlanState *node, int share) {
    NodeClock *timed = time_node(clock, node);
    if (timed != nullptr) timed->transforms += share;
}

void time_tree(PhaseClock *clock, PlanState *node);

void time_all(PhaseClock *clock, PlanState **nodes, int count) {
    for (int i = 0; i < count; i++)
        time_tree(clock, nodes[i]);
}

// Subplans of expressions are left out: they run within a projection's or a condition's time.
void time_tree(PhaseClock *clock, PlanState *node) {
    check_stack_depth();
    if (node == nullptr) return;
    switch (nodeTag(node)) {
    case T_FunctionScanState:
    case T_TableFuncScanState:
        add_transform(clock, node, 1);
        return;
    case T_ProjectSetState:
        add_transform(clock, node, 1);
        add_transform(clock, outerPlanState(node), -1);
        break;
    case T_AppendState:
        time_all(clock, castNode(AppendState, node)->appendplans, castNode(AppendState, node)->as_nplans);
        break;
    case T_MergeAppendState:
        time_all(clock, castNode(MergeAppendState, node)->mergeplans, castNode(MergeAppendState, node)->ms_nplans);
        break;
    case T_SubqueryScanState:
        time_tree(clock, castNode(SubqueryScanState, node)->subplan);
        break;
    default:
        break;
    }
    time_projection(clock, node);
    time_tree(clock, outerPlanState(node));
    time_tree(clock, innerPlanState(node));
}

} // namespace

PhaseClock *start_phase_clock(QueryDesc *query) {
    auto *clock = static_cast<PhaseClock *>(MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(PhaseClock)));
    PlanState *input = query->planstate;
    if (IsA(input, ModifyTableState)) input = outerPlanState(input);
    clock->input = time_node(clock, input);
    time_tree(clock, input);
    running = clock;
    clock->start = pg::start_clock();
    return clock;
}

PhaseTimes read_phase_clock(const PhaseClock *clock) {
    const double input = Min(estimate(clock->input->sampler), pg::milliseconds_since(clock->start));
    double transform = 0;
    for (int i = 0; i < clock->nnodes; i++)
        transform += clock->nodes[i].transforms * estimate(clock->nodes[i].sampler);
    for (int i = 0; i < clock->nprojections; i++)
        transform += estimate(clock->projections[i].sampler);
    transform = Max(0.0, Min(transform, input));
    return PhaseTimes{input - transform, transform, 0};
}

} // namespace stride::sink
