// The shape of the walk key.
// Regime: pg.
#include "walk/shape.hpp"

namespace stride::walk {
namespace {

// The provider's name for the locale, nullptr where there is none; `tuple` is of pg_collation or pg_database.
const char *locale_of(int cache, HeapTuple tuple, bool icu) {
#if PG_VERSION_NUM >= 170000
    const AttrNumber of_collation = icu ? Anum_pg_collation_colllocale : Anum_pg_collation_collcollate;
    const AttrNumber of_database = icu ? Anum_pg_database_datlocale : Anum_pg_database_datcollate;
#else
    const AttrNumber of_collation = icu ? Anum_pg_collation_colliculocale : Anum_pg_collation_collcollate;
    const AttrNumber of_database = icu ? Anum_pg_database_daticulocale : Anum_pg_database_datcollate;
#endif
    bool isnull;
    const Datum locale = SysCacheGetAttr(cache, tuple, cache == COLLOID ? of_collation : of_database, &isnull);
    return isnull ? nullptr : TextDatumGetCString(locale);
}

void append_version(StringInfo out, char provider, const char *locale) {
    const char *version = locale == nullptr ? nullptr : get_collation_actual_version(provider, locale);
    if (version != nullptr) appendStringInfo(out, " version %s", version);
}

// The database's own collation has no locale in pg_collation.
void append_default_version(StringInfo out) {
    HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
    const char provider = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datlocprovider;
    append_version(out, provider, locale_of(DATABASEOID, tuple, provider != COLLPROVIDER_LIBC));
    ReleaseSysCache(tuple);
}

void append_collation(StringInfo out, Oid collation) {
    HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for collation %u", collation);
    const Form_pg_collation form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(tuple));
    appendStringInfo(out, " COLLATE %s", quote_identifier(NameStr(form->collname)));
    if (form->collprovider == COLLPROVIDER_DEFAULT)
        append_default_version(out);
    else
        append_version(out, form->collprovider, locale_of(COLLOID, tuple, form->collprovider != COLLPROVIDER_LIBC));
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
