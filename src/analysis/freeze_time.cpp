// Frozen time: now(), statement_timestamp() and the CURRENT_* and LOCAL* forms become constants of the query tree, and
// age(x) counts from a constant day, so that every chunk of a job sees the time of its submission.
// Regime: pg.  Locks: none.  May not execute anything of the user's; clock_timestamp() and the CURRENT_USER forms stay.
#include "analysis/analysis.hpp"

namespace stride::analysis {
namespace {

bool is_now(const FuncExpr *call) {
    return call->funcid == F_NOW || call->funcid == F_TRANSACTION_TIMESTAMP || call->funcid == F_STATEMENT_TIMESTAMP;
}

// age(x): the age of x at the midnight that opened the current day.
bool is_age(const FuncExpr *call) {
    return call->funcid == F_AGE_TIMESTAMPTZ || call->funcid == F_AGE_TIMESTAMP;
}

bool is_time_value(const SQLValueFunction *value) {
    switch (value->op) {
    case SVFOP_CURRENT_DATE:
    case SVFOP_CURRENT_TIME:
    case SVFOP_CURRENT_TIME_N:
    case SVFOP_CURRENT_TIMESTAMP:
    case SVFOP_CURRENT_TIMESTAMP_N:
    case SVFOP_LOCALTIME:
    case SVFOP_LOCALTIME_N:
    case SVFOP_LOCALTIMESTAMP:
    case SVFOP_LOCALTIMESTAMP_N:
        return true;
    default:
        return false;
    }
}

bool is_constant_time(const Node *node) {
    if (node == nullptr) return false;
    if (IsA(node, FuncExpr)) return is_now(reinterpret_cast<const FuncExpr *>(node));
    return IsA(node, SQLValueFunction) && is_time_value(reinterpret_cast<const SQLValueFunction *>(node));
}

Datum time_value(const SQLValueFunction *value) {
    switch (value->op) {
    case SVFOP_CURRENT_DATE:
        return DateADTGetDatum(GetSQLCurrentDate());
    case SVFOP_CURRENT_TIME:
    case SVFOP_CURRENT_TIME_N:
        return TimeTzADTPGetDatum(GetSQLCurrentTime(value->typmod));
    case SVFOP_CURRENT_TIMESTAMP:
    case SVFOP_CURRENT_TIMESTAMP_N:
        return TimestampTzGetDatum(GetSQLCurrentTimestamp(value->typmod));
    case SVFOP_LOCALTIME:
    case SVFOP_LOCALTIME_N:
        return TimeADTGetDatum(GetSQLLocalTime(value->typmod));
    default:
        return TimestampGetDatum(GetSQLLocalTimestamp(value->typmod));
    }
}

Node *freeze_mutator(Node *node, void *context);

Query *freeze_query(Query *query) {
    return pg::mutate_query(query, freeze_mutator, nullptr, 0);
}

// age(x) as age(midnight, x).
Node *frozen_age(const FuncExpr *call, void *context) {
    const bool with_zone = call->funcid == F_AGE_TIMESTAMPTZ;
    const Datum today = DateADTGetDatum(GetSQLCurrentDate());
    const Datum midnight =
        with_zone ? DirectFunctionCall1(date_timestamptz, today) : DirectFunctionCall1(date_timestamp, today);
    Const *from = makeConst(with_zone ? TIMESTAMPTZOID : TIMESTAMPOID, -1, InvalidOid, sizeof(Timestamp), midnight,
                            false, FLOAT8PASSBYVAL);
    Node *argument = freeze_mutator(static_cast<Node *>(linitial(call->args)), context);
    return reinterpret_cast<Node *>(makeFuncExpr(with_zone ? F_AGE_TIMESTAMPTZ_TIMESTAMPTZ : F_AGE_TIMESTAMP_TIMESTAMP,
                                                 call->funcresulttype, list_make2(from, argument), call->funccollid,
                                                 call->inputcollid, COERCE_EXPLICIT_CALL));
}

// A time function as an item of FROM: a constant has no syntax there.
[[noreturn]] void refuse_in_from() {
    refuse("It calls now(), or a function of its kind, as an item of FROM, where it cannot be frozen to a constant.",
           "Write the call in an expression, or submit with settings => '{\"freeze_time\": false}'.");
}

Node *freeze_mutator(Node *node, void *context) {
    if (node == nullptr) return nullptr;
    if (IsA(node, FuncExpr) && is_now(reinterpret_cast<FuncExpr *>(node)))
        return reinterpret_cast<Node *>(makeConst(TIMESTAMPTZOID, -1, InvalidOid, sizeof(TimestampTz),
                                                  TimestampTzGetDatum(GetCurrentTransactionStartTimestamp()), false,
                                                  FLOAT8PASSBYVAL));
    if (IsA(node, FuncExpr) && is_age(reinterpret_cast<FuncExpr *>(node)))
        return frozen_age(reinterpret_cast<FuncExpr *>(node), context);
    if (IsA(node, SQLValueFunction) && is_time_value(reinterpret_cast<SQLValueFunction *>(node))) {
        const SQLValueFunction *value = reinterpret_cast<SQLValueFunction *>(node);
        int16 length;
        bool by_value;
        get_typlenbyval(value->type, &length, &by_value);
        return reinterpret_cast<Node *>(
            makeConst(value->type, value->typmod, InvalidOid, length, time_value(value), false, by_value));
    }
    if (IsA(node, RangeTblFunction) && is_constant_time(reinterpret_cast<RangeTblFunction *>(node)->funcexpr))
        refuse_in_from();
    if (IsA(node, Query)) return reinterpret_cast<Node *>(freeze_query(reinterpret_cast<Query *>(node)));
    return pg::mutate_expression(node, freeze_mutator, context);
}

} // namespace

bool is_time_function(const Node *node) {
    return is_constant_time(node) ||
           (node != nullptr && IsA(node, FuncExpr) && is_age(reinterpret_cast<const FuncExpr *>(node)));
}

Query *freeze_time(Query *query) {
    return freeze_query(query);
}

} // namespace stride::analysis
