// register_transform and unregister_transform.
// Regime: pg.  Locks: the row of the transform, which is the caller's own.
#include "pipeline/transform.hpp"

#include "bridge/boundary.hpp"
#include "pg/session.hpp"

namespace stride::api {
namespace {

char *name_argument(FunctionCallInfo fcinfo) {
    char *name = PG_ARGISNULL(0) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(0));
    if (name == nullptr)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("name must not be null"),
                        errhint("Give the name that pipelines will use.")));
    if (name[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a transform's name must not be empty"),
                        errhint("Give the name that pipelines will use.")));
    return name;
}

void register_transform(FunctionCallInfo fcinfo) {
    const char *name = name_argument(fcinfo);
    if (PG_ARGISNULL(1))
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("function must not be null"),
                        errhint("Name a function with its argument types, such as clean_order(orders).")));
    pg::require_writable("stride.register_transform");
    const pipeline::Transform transform = pipeline::require_function(PG_GETARG_OID(1), GetUserId());
    if (!catalog::put_transform(GetUserId(), name, transform.name, pipeline::kind_name(transform.kind)))
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("transform \"%s\" exists already", name),
                        errdetail("It is another function."),
                        errhint("Choose another name, or remove it with stride.unregister_transform(name).")));
}

void unregister_transform(FunctionCallInfo fcinfo) {
    const char *name = name_argument(fcinfo);
    pg::require_writable("stride.unregister_transform");
    if (!catalog::remove_transform(GetUserId(), name))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("transform \"%s\" does not exist", name),
                        errhint("The view stride.transforms lists yours.")));
}

} // namespace
} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_register_transform);
PGDLLEXPORT Datum stride_register_transform(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::register_transform(fcinfo);
        PG_RETURN_VOID();
    });
}

PG_FUNCTION_INFO_V1(stride_unregister_transform);
PGDLLEXPORT Datum stride_unregister_transform(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::unregister_transform(fcinfo);
        PG_RETURN_VOID();
    });
}

} // extern "C"
