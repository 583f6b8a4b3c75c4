// Keys as text and back, their order, and the shape of a key in words.
// Regime: pg.  Takes no lock beyond what catalog look-ups take.  Runs the types' own input, output and comparison
// functions; may not run a query.
#include "walk/key.hpp"

#include "pg/session.hpp"
#include "walk/block.hpp"

namespace stride::walk {
namespace {

Datum decode(const KeyColumn &column, const char *text) {
    Oid function = InvalidOid;
    Oid parameter = InvalidOid;
    getTypeInputInfo(column.compare_type, &function, &parameter);
    return OidInputFunctionCall(function, pstrdup(text), parameter, -1);
}

// The version that the provider has now, of a collation or of a database's own, as SQL tells it; NULL where it has
// none. The functions are called directly: the C interface behind them needs the headers of ICU.
void append_version(StringInfo out, PGFunction actual_version, Oid of) {
    LOCAL_FCINFO(call, 1);
    InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
    call->args[0] = NullableDatum{ObjectIdGetDatum(of), false};
    const Datum version = actual_version(call);
    if (!call->isnull) appendStringInfo(out, " version %s", TextDatumGetCString(version));
}

void append_collation(StringInfo out, Oid collation) {
    HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for collation %u", collation);
    const Form_pg_collation form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(tuple));
    appendStringInfo(out, " COLLATE %s", quote_identifier(NameStr(form->collname)));
    if (form->collprovider == COLLPROVIDER_DEFAULT)
        append_version(out, pg_database_collation_actual_version, MyDatabaseId);
    else
        append_version(out, pg_collation_actual_version, collation);
    ReleaseSysCache(tuple);
}

void append_order(StringInfo out, const KeyColumn &column) {
    if (lookup_type_cache(column.column_type, TYPECACHE_BTREE_OPFAMILY)->btree_opf != column.opfamily) {
        HeapTuple tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(column.opfamily));
        if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for operator family %u", column.opfamily);
        const Form_pg_opfamily form = reinterpret_cast<Form_pg_opfamily>(GETSTRUCT(tuple));
        appendStringInfo(out, " USING %s", quote_identifier(NameStr(form->opfname)));
        ReleaseSysCache(tuple);
    }
    if (column.descending) appendStringInfoString(out, " DESC");
}

void append_roles(StringInfo out, ArrayType *roles) {
    Datum *elements;
    int count;
    deconstruct_array(roles, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &elements, nullptr, &count);
    for (int i = 0; i < count; i++) {
        const Oid role = DatumGetObjectId(elements[i]);
        const char *name = role == ACL_ID_PUBLIC ? "public" : GetUserNameFromId(role, true);
        appendStringInfo(out, "%s%s", i > 0 ? ", " : " TO ", name == nullptr ? "" : name);
    }
}

// A policy that comes, goes or changes in the middle of a walk would hide rows that the walk then passes.
void append_row_security(StringInfo out, Oid source, Oid owner) {
    if (check_enable_rls(source, owner, true) != RLS_ENABLED) return;
    Relation relation = table_open(source, AccessShareLock);
    List *context = deparse_context_for(RelationGetRelationName(relation), source);
    ListCell *cell;
    foreach (cell, relation->rd_rsdesc->policies) {
        const RowSecurityPolicy *policy = static_cast<const RowSecurityPolicy *>(lfirst(cell));
        appendStringInfo(out, "; %s policy %s FOR %c", policy->permissive ? "permissive" : "restrictive",
                         quote_identifier(policy->policy_name), policy->polcmd);
        append_roles(out, policy->roles);
        if (policy->qual != nullptr)
            appendStringInfo(out, " USING (%s)",
                             deparse_expression(reinterpret_cast<Node *>(policy->qual), context, false, false));
    }
    table_close(relation, NoLock);
}

} // namespace

KeyText encode_key(const Key &key, const Datum *values) {
    Datum elements[INDEX_MAX_KEYS];
    for (int i = 0; i < key.ncolumns; i++) {
        Oid function = InvalidOid;
        bool is_varlena = false;
        getTypeOutputInfo(key.columns[i].compare_type, &function, &is_varlena);
        elements[i] = CStringGetTextDatum(OidOutputFunctionCall(function, values[i]));
    }
    return construct_array(elements, key.ncolumns, TEXTOID, -1, false, TYPALIGN_INT);
}

KeyText key_to_text(const Key &key, const Datum *values) {
    const int level = pg::pin_output_settings();
    const KeyText text = encode_key(key, values);
    pg::unpin(level);
    return text;
}

Datum text_to_value(const KeyColumn &column, const char *text) {
    const int level = pg::pin_output_settings();
    const Datum value = decode(column, text);
    pg::unpin(level);
    return value;
}

void text_to_values(const Key &key, KeyText stored, Datum *values) {
    Datum *elements = nullptr;
    int count = 0;
    if (ARR_NDIM(stored) != 1 || ARR_HASNULL(stored) || ARR_ELEMTYPE(stored) != TEXTOID ||
        ARR_DIMS(stored)[0] != key.ncolumns)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("stored position does not fit the key of relation %u", key.relation),
                        errhint("Submit the job again.")));
    deconstruct_array(stored, TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &count);
    const int level = pg::pin_output_settings();
    for (int i = 0; i < key.ncolumns; i++)
        values[i] = decode(key.columns[i], TextDatumGetCString(elements[i]));
    pg::unpin(level);
}

void prepare_order(const Key &key, KeyOrder *order) {
    order->key = &key;
    for (int i = 0; i < key.ncolumns; i++) {
        const KeyColumn &column = key.columns[i];
        const Oid function = get_opfamily_proc(column.opfamily, column.opcintype, column.opcintype, BTORDER_PROC);
        if (!OidIsValid(function))
            elog(ERROR, "operator family %u has no comparison of type %u", column.opfamily, column.opcintype);
        fmgr_info(function, &order->compare[i]);
    }
}

int compare_column(KeyOrder *order, int column, Datum a, Datum b) {
    const KeyColumn &description = order->key->columns[column];
    const int32 result = DatumGetInt32(FunctionCall2Coll(&order->compare[column], description.collation, a, b));
    const int sign = result > 0 ? 1 : result < 0 ? -1 : 0;
    return description.descending ? -sign : sign;
}

int compare_values(KeyOrder *order, const Datum *a, const Datum *b) {
    for (int i = 0; i < order->key->ncolumns; i++)
        if (const int result = compare_column(order, i, a[i], b[i]); result != 0) return result;
    return 0;
}

int compare_keys(const Key &key, KeyText a, KeyText b) {
    Datum left[INDEX_MAX_KEYS];
    Datum right[INDEX_MAX_KEYS];
    KeyOrder order;
    text_to_values(key, a, left);
    text_to_values(key, b, right);
    prepare_order(key, &order);
    return compare_values(&order, left, right);
}

char *key_shape(const Key &key, Oid owner) {
    StringInfoData out;
    initStringInfo(&out);
    // Types' names are written with their schema whatever the session's search_path is.
    const int level = pg::pin_search_path();
    for (int i = 0; i < key.ncolumns; i++) {
        const KeyColumn &column = key.columns[i];
        appendStringInfo(&out, "%s%s %s", i > 0 ? "; " : "",
                         quote_identifier(get_attname(key.source, column.attno, false)),
                         format_type_with_typemod(column.column_type, column.column_typmod));
        if (OidIsValid(column.collation)) append_collation(&out, column.collation);
        append_order(&out, column);
    }
    if (key.by_place) appendStringInfoString(&out, file_of(key.relation));
    append_row_security(&out, key.source, owner);
    pg::unpin(level);
    return out.data;
}

} // namespace stride::walk
