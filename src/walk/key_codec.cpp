// Keys as text and back, and their order.
// Regime: pg.  Takes no lock beyond what catalog look-ups take.  Runs the types' own input, output and comparison
// functions; may not run a query.
#include "walk/key.hpp"

#include "pg/session.hpp"

namespace stride::walk {
namespace {

Datum decode(const KeyColumn &column, const char *text) {
    Oid function = InvalidOid;
    Oid parameter = InvalidOid;
    getTypeInputInfo(column.compare_type, &function, &parameter);
    return OidInputFunctionCall(function, pstrdup(text), parameter, -1);
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

} // namespace stride::walk
