// stride_catalog.transform.
// Regime: pg.  Row locks on the caller's own rows.
#include "catalog/transform.hpp"

namespace stride::catalog {
namespace {

constinit pg::FixedStatement upsert_row = {
    "INSERT INTO stride_catalog.transform AS t (owner, name, schema_name, function_name, argument_types, result_type, "
    "kind,"
    " registered_at) VALUES ($1::regrole, $2, $3, $4, $5, $6, $7, now()) ON CONFLICT (owner, name) DO UPDATE"
    " SET result_type = excluded.result_type, kind = excluded.kind, registered_at = excluded.registered_at"
    " WHERE (t.schema_name, t.function_name, t.argument_types)"
    " = (excluded.schema_name, excluded.function_name, excluded.argument_types)",
    7,
    {OIDOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
    nullptr};

constinit pg::FixedStatement delete_row = {
    "DELETE FROM stride_catalog.transform WHERE owner = $1::regrole AND name = $2", 2, {OIDOID, TEXTOID}, nullptr};

constinit pg::FixedStatement select_row = {"SELECT schema_name, function_name, argument_types, result_type, kind"
                                           " FROM stride_catalog.transform WHERE owner = $1::regrole AND name = $2",
                                           2,
                                           {OIDOID, TEXTOID},
                                           nullptr};

constexpr int name_parts = 4;

FunctionName with_signature(FunctionName function) {
    function.signature =
        psprintf("%s(%s)", quote_qualified_identifier(function.schema, function.name), function.argument_types);
    return function;
}

} // namespace

FunctionName function_name(ArrayType *stored) {
    Datum *parts;
    int count;
    deconstruct_array(stored, TEXTOID, -1, false, TYPALIGN_INT, &parts, nullptr, &count);
    if (count != name_parts) elog(ERROR, "a stored function name has %d parts", count);
    return with_signature({TextDatumGetCString(parts[0]), TextDatumGetCString(parts[1]), TextDatumGetCString(parts[2]),
                           TextDatumGetCString(parts[3]), nullptr});
}

ArrayType *store_function_name(const FunctionName &function) {
    Datum parts[name_parts] = {CStringGetTextDatum(function.schema), CStringGetTextDatum(function.name),
                               CStringGetTextDatum(function.argument_types), CStringGetTextDatum(function.result_type)};
    return construct_array(parts, name_parts, TEXTOID, -1, false, TYPALIGN_INT);
}

bool put_transform(Oid owner, const char *name, const FunctionName &function, const char *kind) {
    return pg::run_fixed(upsert_row,
                         {pg::arg(ObjectIdGetDatum(owner)), pg::arg_text(name), pg::arg_text(function.schema),
                          pg::arg_text(function.name), pg::arg_text(function.argument_types),
                          pg::arg_text(function.result_type), pg::arg_text(kind)}) == 1;
}

bool remove_transform(Oid owner, const char *name) {
    return pg::run_fixed(delete_row, {pg::arg(ObjectIdGetDatum(owner)), pg::arg_text(name)}) == 1;
}

bool find_transform(Oid owner, const char *name, RegisteredTransform *found) {
    return pg::read_fixed(select_row, {pg::arg(ObjectIdGetDatum(owner)), pg::arg_text(name)}, [&](const pg::Row &row) {
               const FunctionName function = {row.text(1), row.text(2), row.text(3), row.text(4), nullptr};
               *found = {with_signature(function), row.text(5)};
           }) == 1;
}

} // namespace stride::catalog
