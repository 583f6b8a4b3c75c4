// stride_catalog.transform, typed: the functions that roles have registered as transforms, by name.  Functions and
// types are kept as text, so that a dump restores them.
// Regime: pg.  All statements run as the extension owner (pg/fixed.hpp).
#pragma once

#include "pg/fixed.hpp"

namespace stride::catalog {

// A function's identity as it is stored, here and in a job (text[] of the first four): palloc'd texts, types qualified.
struct FunctionName {
    char *schema;
    char *name;
    char *argument_types;
    char *result_type; // with SETOF
    char *signature;   // schema.name(argument types)
};
FunctionName function_name(ArrayType *stored);
ArrayType *store_function_name(const FunctionName &function);

// Registers under the owner's name.  False if another function has the name already.
bool put_transform(Oid owner, const char *name, const FunctionName &function, const char *kind);

// False if the owner has none of that name.
bool remove_transform(Oid owner, const char *name);

struct RegisteredTransform {
    FunctionName function;
    char *kind;
};
bool find_transform(Oid owner, const char *name, RegisteredTransform *found);

} // namespace stride::catalog
