// Transforms.
// Regime: pg.
#include "pipeline/transform.hpp"

#include "catalog/work_table.hpp"
#include "job/function_version.hpp"

namespace stride::pipeline {
namespace {

// Why a function is no transform; sqlstate 0 = it is one.
struct Refusal {
    int sqlstate;
    const char *detail;
    const char *hint;
};

constexpr const char *forms =
    "A transform is f(source_row) RETURNS target_row or SETOF target_row, or f(source_row[]) RETURNS SETOF target_row.";

const char *kind_refusal(char prokind) {
    switch (prokind) {
    case PROKIND_PROCEDURE:
        return "It is a procedure.";
    case PROKIND_AGGREGATE:
        return "It is an aggregate.";
    case PROKIND_WINDOW:
        return "It is a window function.";
    default:
        return nullptr;
    }
}

// The row type that the type is, or is an array of; InvalidOid if it is neither.
Oid row_type_of(Oid type, bool *array) {
    const Oid element = get_element_type(type);
    *array = OidIsValid(element);
    const Oid row = *array ? element : type;
    return OidIsValid(get_typ_typrelid(row)) ? row : InvalidOid;
}

bool may_execute(Oid function, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
    return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

Refusal judge_types(const Form_pg_proc form, Transform *transform) {
    if (form->pronargs != 1 || OidIsValid(form->provariadic))
        return {ERRCODE_DATATYPE_MISMATCH, "It does not take exactly one argument.", forms};
    bool array;
    transform->row_type = row_type_of(form->proargtypes.values[0], &array);
    if (!OidIsValid(transform->row_type))
        return {ERRCODE_DATATYPE_MISMATCH,
                psprintf("It takes %s, which is no row type.", format_type_be(form->proargtypes.values[0])), forms};
    if (array && !form->proretset)
        return {ERRCODE_DATATYPE_MISMATCH, "It takes an array of rows and returns a single row.", forms};
    transform->kind = array ? TransformKind::chunk : form->proretset ? TransformKind::row_set : TransformKind::row;
    Oid type;
    if (get_func_result_type(form->oid, &type, &transform->result) != TYPEFUNC_COMPOSITE)
        return {ERRCODE_DATATYPE_MISMATCH,
                psprintf("It returns %s, which is no row with known columns.", format_type_be(form->prorettype)),
                forms};
    return {};
}

Refusal judge(const Form_pg_proc form, Oid caller, Transform *transform) {
    if (kind_refusal(form->prokind) != nullptr) return {ERRCODE_WRONG_OBJECT_TYPE, kind_refusal(form->prokind), forms};
    if (isAnyTempNamespace(form->pronamespace))
        return {ERRCODE_FEATURE_NOT_SUPPORTED, "It is temporary, and a job's workers are other sessions.",
                "Create it in an ordinary schema."};
    if (!may_execute(form->oid, caller))
        return {ERRCODE_INSUFFICIENT_PRIVILEGE,
                psprintf("Role \"%s\" lacks EXECUTE on it.", GetUserNameFromId(caller, true)),
                "GRANT EXECUTE ON FUNCTION .. TO the role."};
    const Refusal refusal = judge_types(form, transform);
    if (refusal.sqlstate != 0) return refusal;
    transform->function = form->oid;
    transform->name.schema = get_namespace_name(form->pronamespace);
    transform->name.name = pstrdup(NameStr(form->proname));
    transform->name.argument_types = format_type_be_qualified(form->proargtypes.values[0]);
    transform->name.result_type =
        psprintf("%s%s", form->proretset ? "SETOF " : "", format_type_be_qualified(form->prorettype));
    transform->name.signature =
        psprintf("%s(%s)", quote_qualified_identifier(transform->name.schema, transform->name.name),
                 transform->name.argument_types);
    return {};
}

// False if there is no such function.
bool judge_function(Oid function, Oid caller, Transform *transform, Refusal *refusal) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) return false;
    *refusal = judge(reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple)), caller, transform);
    ReleaseSysCache(tuple);
    return true;
}

// The function of that name that takes rows of the source; InvalidOid if there is none.
Oid function_by_name(const catalog::FunctionName &name, Oid argument_type) {
    const Oid schema = get_namespace_oid(name.schema, true);
    if (!OidIsValid(schema) || !OidIsValid(argument_type)) return InvalidOid;
    oidvector *arguments = buildoidvector(&argument_type, 1);
    return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name.name), PointerGetDatum(arguments),
                           ObjectIdGetDatum(schema));
}

// The type that a transform of the source takes: its row type, or an array of it.
Oid argument_type(Oid source, bool array) {
    const Oid row = get_rel_type_id(source);
    return array && OidIsValid(row) ? get_array_type(row) : row;
}

// The function of that name whose argument's type has the stored name.
Oid function_by_type_name(const catalog::FunctionName &name) {
    const Oid schema = get_namespace_oid(name.schema, true);
    Oid found = InvalidOid;
    CatCList *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name.name));
    for (int i = 0; i < list->n_members; i++) {
        const Form_pg_proc form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(&list->members[i]->tuple));
        if (form->pronamespace == schema && form->pronargs == 1 &&
            strcmp(format_type_be_qualified(form->proargtypes.values[0]), name.argument_types) == 0)
            found = form->oid;
    }
    ReleaseSysCacheList(list);
    return found;
}

bool takes_array(const catalog::FunctionName &name) {
    const size_t length = strlen(name.argument_types);
    return length > 2 && strcmp(name.argument_types + length - 2, "[]") == 0;
}

// The function that a source's rows go through, as its name says now; InvalidOid if there is none.
Oid find_function(const catalog::FunctionName &name, Oid source) {
    if (catalog::is_work_table(source)) return function_by_type_name(name);
    return function_by_name(name, argument_type(source, takes_array(name)));
}

char *listed_columns(TupleDesc columns, int from) {
    StringInfoData text;
    initStringInfo(&text);
    for (int i = from; i < columns->natts; i++) {
        const FormData_pg_attribute *column = TupleDescAttr(columns, i);
        if (column->attisdropped) continue;
        appendStringInfo(&text, "%s%s %s", text.len == 0 ? "" : ", ", quote_identifier(NameStr(column->attname)),
                         format_type_be(column->atttypid));
    }
    return text.data;
}

// A row of the saved columns can be one of the type, value by value.
void require_saved_columns(const char *name, const Transform &transform, Relation work_table) {
    const TupleDesc taken = lookup_rowtype_tupdesc_copy(transform.row_type, -1);
    const char *takes = listed_columns(taken, 0);
    const char *gives = listed_columns(RelationGetDescr(work_table), catalog::ordinal_attno);
    if (strcmp(takes, gives) != 0)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("transform \"%s\" does not take rows of the query", name),
                 errdetail("It takes rows of %s (%s). The query gives (%s).", format_type_be(transform.row_type), takes,
                           gives),
                 errhint("Give the query these columns, with these names and types, in this order.")));
}

// The registered function takes rows of this table, and no other's.
void require_table_rows(const char *name, const catalog::FunctionName &function, Relation source) {
    const Oid type = argument_type(RelationGetRelid(source), takes_array(function));
    if (!OidIsValid(type) || strcmp(function.argument_types, format_type_be_qualified(type)) != 0)
        ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                        errmsg("transform \"%s\" does not take rows of the source \"%s\"", name,
                               RelationGetRelationName(source)),
                        errdetail("Its function is %s.", function.signature),
                        errhint("Give the source that it takes, or register a function that takes this one's rows.")));
}

} // namespace

const char *kind_name(TransformKind kind) {
    switch (kind) {
    case TransformKind::row:
        return "row";
    case TransformKind::row_set:
        return "row set";
    case TransformKind::chunk:
        return "chunk";
    }
    pg_unreachable();
}

Transform require_function(Oid function, Oid caller) {
    Transform transform = {};
    Refusal refusal = {};
    if (!judge_function(function, caller, &transform, &refusal))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function with OID %u does not exist", function),
                        errhint("Name a function with its argument types, such as clean_order(orders).")));
    if (refusal.sqlstate != 0)
        ereport(ERROR,
                (errcode(refusal.sqlstate), errmsg("function %s cannot be a transform", format_procedure(function)),
                 errdetail("%s", refusal.detail), errhint("%s", refusal.hint)));
    return transform;
}

Transform require_transform(const char *name, Relation source) {
    catalog::RegisteredTransform registered;
    if (!catalog::find_transform(GetUserId(), name, &registered))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("transform \"%s\" does not exist", name),
                 errdetail("Role \"%s\" has registered none of this name.", GetUserNameFromId(GetUserId(), false)),
                 errhint("Register it with stride.register_transform(name, function); the view stride.transforms lists "
                         "yours.")));
    const bool saved = catalog::is_work_table(RelationGetRelid(source));
    if (!saved) require_table_rows(name, registered.function, source);
    const Oid function = find_function(registered.function, RelationGetRelid(source));
    if (!OidIsValid(function))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_FUNCTION),
                 errmsg("the function %s of transform \"%s\" does not exist", registered.function.signature, name),
                 errhint("Create it again, or register another function after stride.unregister_transform(name).")));
    const Transform transform = require_function(function, GetUserId());
    if (saved) require_saved_columns(name, transform, source);
    return transform;
}

const char *pin_transform(catalog::Job *job) {
    if (job->transform == nullptr) return nullptr;
    const catalog::FunctionName name = catalog::function_name(job->transform);
    const Oid function = find_function(name, job->source);
    Transform transform = {};
    Refusal refusal = {};
    if (!OidIsValid(function) || !judge_function(function, job->owner, &transform, &refusal))
        return psprintf("the transform's function %s does not exist", name.signature);
    if (refusal.sqlstate != 0) return psprintf("function %s cannot be a transform: %s", name.signature, refusal.detail);
    if (strcmp(transform.name.result_type, name.result_type) != 0)
        return psprintf("the transform's function %s returns %s now, not %s", name.signature,
                        transform.name.result_type, name.result_type);
    job->transform_oid = function;
    job->transform_version = job::function_version(function);
    return nullptr;
}

void check_transform(const catalog::Job &job) {
    if (job.transform == nullptr) return;
    job::require_transform_version(job);
    (void)require_function(job.transform_oid, job.owner);
}

} // namespace stride::pipeline
