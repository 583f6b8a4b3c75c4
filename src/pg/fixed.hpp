// Fixed statements of ours over stride_catalog: prepared once a process, run as the extension owner with a pinned
// search_path, never with user text in them.
// Regime: pg.  The caller is in a transaction; an error unwinds the owner switch with it.  `read` callbacks may not
// call user code: they run while the extension owner is the current user.
#pragma once

#include <initializer_list>

#include "pg/session.hpp"

namespace stride::pg {

constexpr int max_fixed_args = 64;

// One fixed statement: a static object a statement, constinit, so that its plan is prepared once and kept.
struct FixedStatement {
    const char *sql;
    int nargs;
    Oid types[max_fixed_args];
    SPIPlanPtr plan;
};

// Arguments and results.
inline NullableDatum arg(Datum value) {
    return NullableDatum{value, false};
}
inline NullableDatum null_arg() {
    return NullableDatum{0, true};
}
inline NullableDatum arg_int32(int32 value) {
    return arg(Int32GetDatum(value));
}
inline NullableDatum arg_int64(int64 value) {
    return arg(Int64GetDatum(value));
}
inline NullableDatum arg_text(const char *value) {
    return value == nullptr ? null_arg() : arg(CStringGetTextDatum(value));
}
inline NullableDatum arg_jsonb(Jsonb *value) {
    return value == nullptr ? null_arg() : arg(JsonbPGetDatum(value));
}
inline NullableDatum arg_array(ArrayType *value) {
    return value == nullptr ? null_arg() : arg(PointerGetDatum(value));
}

// One row of a result; columns count from 1.  Texts and arrays are copied into the current memory context.
struct Row {
    HeapTuple tuple;
    TupleDesc descriptor;

    bool is_null(int column) const;
    Datum datum(int column, bool *isnull) const;
    int32 int32_or(int column, int32 otherwise) const;
    int64 int64_or(int column, int64 otherwise) const;
    double double_or(int column, double otherwise) const;
    Oid oid_or(int column, Oid otherwise) const;
    bool bool_or(int column, bool otherwise) const;
    char *text(int column) const;       // nullptr when NULL; any text-like or name column
    ArrayType *array(int column) const; // nullptr when NULL
    Jsonb *jsonb(int column) const;     // nullptr when NULL
};

// Runs the statement in the owner's name with a fresh snapshot, and leaves SPI connected; begin/end bracket it.
uint64 begin_fixed(FixedStatement &statement, std::initializer_list<NullableDatum> args, OwnerSwitch *previous);
Row fixed_row(uint64 index);
void end_fixed(const OwnerSwitch &previous);

// Runs it and returns the number of rows processed.
uint64 run_fixed(FixedStatement &statement, std::initializer_list<NullableDatum> args);

// Runs it and calls read(row) for each result row, in the caller's memory context.
template <class Read>
uint64 read_fixed(FixedStatement &statement, std::initializer_list<NullableDatum> args, Read &&read) {
    MemoryContext callers = CurrentMemoryContext;
    OwnerSwitch previous;
    const uint64 rows = begin_fixed(statement, args, &previous);
    MemoryContext spi = MemoryContextSwitchTo(callers);
    for (uint64 i = 0; i < rows; i++)
        read(fixed_row(i));
    MemoryContextSwitchTo(spi);
    end_fixed(previous);
    return rows;
}

} // namespace stride::pg
