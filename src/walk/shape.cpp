// The shape of the walk key.
// Regime: pg.
#include "walk/shape.hpp"

#include "pg/session.hpp"

namespace stride::walk {
namespace {

// The version that the provider has now, of a collation or of a database's own, as SQL tells it; NULL where it has none.
// The functions are called directly: the C interface behind them needs the headers of ICU.
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

} // namespace

char *key_shape(const Key &key) {
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
    }
    pg::unpin(level);
    return out.data;
}

} // namespace stride::walk
