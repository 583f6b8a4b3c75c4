// Fixed statements: prepared once a process, run as the extension owner.
// Regime: pg.  Takes the locks of the statement it runs.
#include "pg/fixed.hpp"

namespace stride::pg {
namespace {

void prepare(FixedStatement &statement) {
    if (statement.plan != nullptr) return;
    SPIPlanPtr plan = SPI_prepare(statement.sql, statement.nargs, statement.types);
    if (plan == nullptr) elog(ERROR, "could not prepare a fixed statement: %s", SPI_result_code_string(SPI_result));
    if (SPI_keepplan(plan) != 0) elog(ERROR, "could not keep the plan of a fixed statement");
    statement.plan = plan;
}

// Outside Row, whose member `text` hides the type that the macro casts to.
char *text_to_string(Datum value) {
    return TextDatumGetCString(value);
}

} // namespace

bool Row::is_null(int column) const {
    bool isnull;
    (void)SPI_getbinval(tuple, descriptor, column, &isnull);
    return isnull;
}

Datum Row::datum(int column, bool *isnull) const {
    return SPI_getbinval(tuple, descriptor, column, isnull);
}

int32 Row::int32_or(int column, int32 otherwise) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    return isnull ? otherwise : DatumGetInt32(value);
}

int64 Row::int64_or(int column, int64 otherwise) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    return isnull ? otherwise : DatumGetInt64(value);
}

double Row::double_or(int column, double otherwise) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    return isnull ? otherwise : DatumGetFloat8(value);
}

Oid Row::oid_or(int column, Oid otherwise) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    return isnull ? otherwise : DatumGetObjectId(value);
}

bool Row::bool_or(int column, bool otherwise) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    return isnull ? otherwise : DatumGetBool(value);
}

char *Row::text(int column) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    if (isnull) return nullptr;
    const Oid type = SPI_gettypeid(descriptor, column);
    if (type == NAMEOID) return pstrdup(NameStr(*DatumGetName(value)));
    if (type == TEXTOID) return text_to_string(value);
    Oid output;
    bool varlena;
    getTypeOutputInfo(type, &output, &varlena);
    return OidOutputFunctionCall(output, value);
}

ArrayType *Row::array(int column) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    return isnull ? nullptr : DatumGetArrayTypePCopy(value);
}

Jsonb *Row::jsonb(int column) const {
    bool isnull;
    const Datum value = datum(column, &isnull);
    return isnull ? nullptr : DatumGetJsonbPCopy(value);
}

uint64 begin_fixed(FixedStatement &statement, std::initializer_list<NullableDatum> args, OwnerSwitch *previous) {
    Datum values[max_fixed_args];
    char nulls[max_fixed_args];
    int n = 0;
    for (const NullableDatum &given : args) {
        values[n] = given.value;
        nulls[n] = given.isnull ? 'n' : ' ';
        n++;
    }
    Assert(n == statement.nargs);
    *previous = enter_extension_owner();
    // SPI takes a fresh snapshot of its own for each statement, but insists on one around it.
    previous->pushed_snapshot = !ActiveSnapshotSet();
    if (previous->pushed_snapshot) PushActiveSnapshot(GetTransactionSnapshot());
    SPI_connect();
    prepare(statement);
    const int code = SPI_execute_plan(statement.plan, values, nulls, false, 0);
    if (code < 0) elog(ERROR, "a fixed statement failed: %s", SPI_result_code_string(code));
    return SPI_processed;
}

Row fixed_row(uint64 index) {
    return Row{SPI_tuptable->vals[index], SPI_tuptable->tupdesc};
}

void end_fixed(const OwnerSwitch &previous) {
    SPI_finish();
    if (previous.pushed_snapshot) PopActiveSnapshot();
    leave_extension_owner(previous);
}

uint64 run_fixed(FixedStatement &statement, std::initializer_list<NullableDatum> args) {
    OwnerSwitch previous;
    const uint64 processed = begin_fixed(statement, args, &previous);
    end_fixed(previous);
    return processed;
}

} // namespace stride::pg
