// The shape of the walk key.
// Regime: pg.
#include "walk/shape.hpp"

namespace stride::walk {
namespace {

void append_collation(StringInfo out, Oid collation) {
    HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for collation %u", collation);
    const Form_pg_collation form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(tuple));
    appendStringInfo(out, " COLLATE %s", quote_identifier(NameStr(form->collname)));
    bool isnull;
    const Datum locale = SysCacheGetAttr(COLLOID, tuple,
                                         form->collprovider == COLLPROVIDER_ICU
#if PG_VERSION_NUM >= 170000
                                             ? Anum_pg_collation_colllocale
#else
                                             ? Anum_pg_collation_colliculocale
#endif
                                             : Anum_pg_collation_collcollate,
                                         &isnull);
    if (!isnull) {
        const char *version = get_collation_actual_version(form->collprovider, TextDatumGetCString(locale));
        if (version != nullptr) appendStringInfo(out, " version %s", version);
    }
    ReleaseSysCache(tuple);
}

} // namespace

char *key_shape(const Key &key) {
    StringInfoData out;
    initStringInfo(&out);
    for (int i = 0; i < key.ncolumns; i++) {
        const KeyColumn &column = key.columns[i];
        appendStringInfo(&out, "%s%s %s", i > 0 ? "; " : "",
                         quote_identifier(get_attname(key.relation, column.attno, false)),
                         format_type_with_typemod(column.column_type, column.column_typmod));
        if (OidIsValid(column.collation)) append_collation(&out, column.collation);
    }
    return out.data;
}

} // namespace stride::walk
