// The shape of the walk.
// Regime: pg.
#include "walk/shape.hpp"

#include "pg/session.hpp"
#include "walk/block.hpp"

namespace stride::walk {
namespace {

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
