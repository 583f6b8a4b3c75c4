// Choosing and loading the walk key.
// Regime: pg.  Locks: AccessShareLock on each index looked at, to the end of the transaction.  May not read rows.
#include "walk/key.hpp"

#include "walk/block.hpp"

namespace stride::walk {
namespace {

constexpr int most_reasons = 8; // candidates named in one DETAIL

// What keeps an index from being a key.
enum class Flaw : unsigned char {
    none,
    access_method,
    not_unique,
    invalid,
    deferrable,
    partial,
    expression,
    nullable,
    collation,
    not_in_source,
    not_yet_usable
};

const char *sentence(Flaw flaw) {
    switch (flaw) {
    case Flaw::none:
        return "qualifies";
    case Flaw::access_method:
        return "is not a btree index";
    case Flaw::not_unique:
        return "is not unique";
    case Flaw::invalid:
        return "is not valid";
    case Flaw::deferrable:
        return "belongs to a deferrable constraint";
    case Flaw::partial:
        return "is partial";
    case Flaw::expression:
        return "is on an expression";
    case Flaw::nullable:
        return "has a column that is not NOT NULL";
    case Flaw::collation:
        return "has a nondeterministic collation";
    case Flaw::not_in_source:
        return "has a column that the parent table lacks";
    case Flaw::not_yet_usable:
        return "was built beside transactions that still run and cannot be used yet";
    }
    return "";
}

// Whether the column surely has no NULL in any row.
bool never_null(TupleDesc descriptor, AttrNumber attno) {
#if PG_VERSION_NUM >= 180000
    return TupleDescCompactAttr(descriptor, attno - 1)->attnullability == ATTNULLABLE_VALID;
#else
    return TupleDescAttr(descriptor, attno - 1)->attnotnull;
#endif
}

// The number of a column of `relation` in the source, by name; 0 if it has none.
AttrNumber in_source(Relation relation, Oid source, AttrNumber attno) {
    if (RelationGetRelid(relation) == source) return attno;
    return get_attnum(source, NameStr(TupleDescAttr(RelationGetDescr(relation), attno - 1)->attname));
}

Flaw column_flaw(Relation relation, Oid source, Relation index, int column) {
    const AttrNumber attno = index->rd_index->indkey.values[column];
    if (attno <= 0) return Flaw::expression;
    if (!never_null(RelationGetDescr(relation), attno)) return Flaw::nullable;
    const Oid collation = index->rd_indcollation[column];
    if (OidIsValid(collation) && !get_collation_isdeterministic(collation)) return Flaw::collation;
    if (in_source(relation, source, attno) <= 0) return Flaw::not_in_source;
    return Flaw::none;
}

Flaw flaw_of(Relation relation, Oid source, Relation index) {
    const Form_pg_index form = index->rd_index;
    if (index->rd_rel->relam != BTREE_AM_OID) return Flaw::access_method;
    if (!form->indisunique) return Flaw::not_unique;
    if (!form->indisvalid || !form->indisready || !form->indislive) return Flaw::invalid;
    if (!form->indimmediate) return Flaw::deferrable;
    if (!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr)) return Flaw::partial;
    for (int column = 0; column < form->indnkeyatts; column++)
        if (const Flaw flaw = column_flaw(relation, source, index, column); flaw != Flaw::none) return flaw;
    // The planner passes such an index by until all snapshots see its whole history (see README.HOT).
    if (form->indcheckxmin &&
        !TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin))
        return Flaw::not_yet_usable;
    return Flaw::none;
}

// The type that the operators of an opclass take for a column.
Oid compare_type_of(Oid column_type, Oid opcintype) {
    const Oid base = getBaseType(column_type);
    if (IsPolymorphicType(opcintype) || opcintype == RECORDOID) return base;
    if (base != opcintype && !IsBinaryCoercible(base, opcintype))
        elog(ERROR, "type %u does not fit operator class input type %u", column_type, opcintype);
    return opcintype;
}

void describe(Relation relation, Oid source, Relation index, Key *key) {
    const Form_pg_index form = index->rd_index;
    *key = Key{};
    key->source = source;
    key->relation = RelationGetRelid(relation);
    key->index = RelationGetRelid(index);
    key->ncolumns = form->indnkeyatts;
    for (int i = 0; i < key->ncolumns; i++) {
        const AttrNumber attno = form->indkey.values[i];
        const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attno - 1);
        KeyColumn &column = key->columns[i];
        column.attno = in_source(relation, source, attno);
        column.column_type = attribute->atttypid;
        column.column_typmod = attribute->atttypmod;
        column.column_collation = attribute->attcollation;
        column.compare_type = compare_type_of(attribute->atttypid, index->rd_opcintype[i]);
        column.collation = index->rd_indcollation[i];
        column.opfamily = index->rd_opfamily[i];
        column.opcintype = index->rd_opcintype[i];
        column.descending = (index->rd_indoption[i] & INDOPTION_DESC) != 0;
        column.nulls_first = (index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0;
    }
}

// The attribute numbers of the columns in `wanted`; at most INDEX_MAX_KEYS are kept, the count is the array's.
int wanted_columns(Relation relation, ArrayType *wanted, AttrNumber *attnos) {
    Datum *names = nullptr;
    bool *nulls = nullptr;
    int count = 0;
    deconstruct_array(wanted, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls, &count);
    if (count == 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the key must have at least one column"),
                        errhint("Leave out the key to take the primary key.")));
    for (int i = 0; i < count; i++) {
        if (nulls[i])
            ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("column names of the key must not be NULL"),
                            errhint("Leave out the key to take the primary key.")));
        const char *name = NameStr(*DatumGetName(names[i]));
        const AttrNumber attno = get_attnum(RelationGetRelid(relation), name);
        if (attno <= 0)
            ereport(ERROR,
                    (errcode(ERRCODE_UNDEFINED_COLUMN),
                     errmsg("column \"%s\" of relation \"%s\" does not exist", name, RelationGetRelationName(relation)),
                     errhint("The key names columns of the table that is walked.")));
        if (i < INDEX_MAX_KEYS) attnos[i] = attno;
    }
    return count;
}

// One column of a promised key: ordered as its type is by default, which is also how another server would order it.
void describe_promised(Relation relation, Oid source, AttrNumber attno, KeyColumn *column) {
    const Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attno - 1);
    const TypeCacheEntry *type = lookup_type_cache(attribute->atttypid, TYPECACHE_BTREE_OPFAMILY);
    const char *name = NameStr(attribute->attname);
    if (!OidIsValid(type->btree_opf))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_FUNCTION),
                 errmsg("column \"%s\" of \"%s\" cannot be part of a key", name, RelationGetRelationName(relation)),
                 errdetail("The type %s has no order.", format_type_be(attribute->atttypid)),
                 errhint("Name columns of types with a default btree operator class.")));
    if (OidIsValid(attribute->attcollation) && !get_collation_isdeterministic(attribute->attcollation))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("column \"%s\" of \"%s\" cannot be part of a key", name, RelationGetRelationName(relation)),
                 errdetail("Its collation is nondeterministic."),
                 errhint("Give the foreign table's column a deterministic collation.")));
    column->attno = in_source(relation, source, attno);
    if (column->attno <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" cannot be part of a key", name, RelationGetRelationName(relation)),
                 errdetail("The parent table has no such column."), errhint("Name columns of the parent table.")));
    column->column_type = attribute->atttypid;
    column->column_typmod = attribute->atttypmod;
    column->column_collation = attribute->attcollation;
    column->compare_type = compare_type_of(attribute->atttypid, type->btree_opintype);
    column->collation = attribute->attcollation;
    column->opfamily = type->btree_opf;
    column->opcintype = type->btree_opintype;
}

Key promised_key(Relation relation, Oid source, ArrayType *wanted) {
    AttrNumber attnos[INDEX_MAX_KEYS] = {};
    if (wanted == nullptr)
        ereport(
            ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement cannot be run in chunks"),
             errdetail("The foreign table \"%s\" has no key that could be looked up.",
                       RelationGetRelationName(relation)),
             errhint(
                 "Name columns of it that are unique and never NULL in the argument \"key\", or have its rows saved "
                 "first: stride.submit_pipeline(target, source_query => 'SELECT ..').")));
    const int count = wanted_columns(relation, wanted, attnos);
    if (count > INDEX_MAX_KEYS)
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS), errmsg("the key has more than %d columns", INDEX_MAX_KEYS),
                        errhint("Name the fewest columns that tell the rows apart.")));
    Key key = {};
    key.source = source;
    key.relation = RelationGetRelid(relation);
    key.promised = true;
    key.ncolumns = count;
    for (int i = 0; i < count; i++)
        describe_promised(relation, source, attnos[i], &key.columns[i]);
    return key;
}

bool is_foreign(Relation relation) {
    return relation->rd_rel->relkind == RELKIND_FOREIGN_TABLE;
}

bool has_columns(Relation index, const AttrNumber *attnos, int count) {
    const Form_pg_index form = index->rd_index;
    if (form->indnkeyatts != count) return false;
    for (int i = 0; i < count; i++)
        if (form->indkey.values[i] != attnos[i]) return false;
    return true;
}

// Bytes of a key's values, as far as their types tell.
int width_of(const Key &key) {
    int width = 0;
    for (int i = 0; i < key.ncolumns; i++)
        width += get_typavgwidth(key.columns[i].column_type, key.columns[i].column_typmod);
    return width;
}

bool better(const Key &candidate, bool candidate_primary, const Key &best, bool best_primary) {
    if (candidate_primary != best_primary) return candidate_primary;
    if (candidate.ncolumns != best.ncolumns) return candidate.ncolumns < best.ncolumns;
    const int difference = width_of(candidate) - width_of(best);
    return difference != 0 ? difference < 0 : candidate.index < best.index;
}

[[noreturn]] void no_key(Relation relation, ArrayType *wanted, int reasons, StringInfo detail) {
    if (reasons > most_reasons) appendStringInfo(detail, "\nSo it is with %d more.", reasons - most_reasons);
    if (wanted != nullptr) {
        Datum *names = nullptr;
        int count = 0;
        StringInfoData list;
        initStringInfo(&list);
        deconstruct_array(wanted, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, nullptr, &count);
        for (int i = 0; i < count; i++)
            appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", quote_identifier(NameStr(*DatumGetName(names[i]))));
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("columns (%s) of \"%s\" are no key to walk it by", list.data, RelationGetRelationName(relation)),
             reasons > 0 ? errdetail_internal("%s", detail->data)
                         : errdetail("It has no index on exactly these columns in this order."),
             errhint(
                 "Create a unique index on exactly these columns, all of them NOT NULL; where they are not unique, add "
                 "the primary key's columns to both.  Or leave out the key to have it chosen.")));
    }
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("\"%s\" has no key to walk it by", RelationGetRelationName(relation)),
             reasons > 0 ? errdetail_internal("%s", detail->data) : errdetail("It has no index."),
             errhint("Add a primary key, or a unique index over NOT NULL columns; or walk it by walk => 'block', "
                     "where nobody can write it until the job has ended; or have the rows of an INSERT .. SELECT saved "
                     "first by walk => 'spool'.")));
}

bool has_key(Relation relation, Oid source) {
    bool found = false;
    ListCell *cell;
    foreach (cell, RelationGetIndexList(relation)) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        found = found || flaw_of(relation, source, index) == Flaw::none;
        index_close(index, NoLock);
    }
    return found;
}

} // namespace

Key choose_key(Relation relation, Oid source, ArrayType *wanted) {
    if (is_foreign(relation)) return promised_key(relation, source, wanted);
    AttrNumber attnos[INDEX_MAX_KEYS] = {};
    const int nattnos = wanted != nullptr ? wanted_columns(relation, wanted, attnos) : 0;
    List *indexes = RelationGetIndexList(relation);
    Key best = {};
    bool best_primary = false;
    int reasons = 0;
    StringInfoData detail;
    initStringInfo(&detail);

    for (int i = 0; i < list_length(indexes); i++) {
        Relation index = index_open(list_nth_oid(indexes, i), AccessShareLock);
        if (wanted == nullptr || has_columns(index, attnos, nattnos)) {
            const Flaw flaw = flaw_of(relation, source, index);
            if (flaw == Flaw::none) {
                Key candidate;
                describe(relation, source, index, &candidate);
                const bool primary = index->rd_index->indisprimary;
                if (!OidIsValid(best.index) || better(candidate, primary, best, best_primary)) {
                    best = candidate;
                    best_primary = primary;
                }
            } else if (reasons++ < most_reasons) {
                appendStringInfo(&detail, "%sIndex \"%s\" %s.", reasons > 1 ? "\n" : "", RelationGetRelationName(index),
                                 sentence(flaw));
            }
        }
        index_close(index, NoLock);
    }
    if (!OidIsValid(best.index)) no_key(relation, wanted, reasons, &detail);
    list_free(indexes);
    return best;
}

bool lacks_key(Oid source, bool with_children) {
    List *tables = with_children ? find_all_inheritors(source, AccessShareLock, nullptr) : list_make1_oid(source);
    bool lacks = false;
    ListCell *cell;
    foreach (cell, tables) {
        Relation relation = table_open(lfirst_oid(cell), AccessShareLock);
        if (relation->rd_rel->relkind == RELKIND_RELATION) lacks = lacks || !has_key(relation, source);
        table_close(relation, NoLock);
    }
    return lacks;
}

Key load_key(Relation relation, Oid source, Oid index_oid, ArrayType *wanted) {
    if (is_foreign(relation)) return promised_key(relation, source, wanted);
    if (!OidIsValid(index_oid)) return block_key(RelationGetRelid(relation), source);
    if (!list_member_oid(RelationGetIndexList(relation), index_oid))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the index that \"%s\" is walked by is gone", RelationGetRelationName(relation)),
                        errhint("Submit the job again: positions in one index mean nothing in another.")));
    Relation index = index_open(index_oid, AccessShareLock);
    const Flaw flaw = flaw_of(relation, source, index);
    if (flaw == Flaw::not_yet_usable)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                        errmsg("index \"%s\" cannot be used yet", RelationGetRelationName(index)),
                        errdetail("It %s.", sentence(flaw)), errhint("Wait for older transactions to end.")));
    if (flaw != Flaw::none)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("\"%s\" can no longer be walked by index \"%s\"", RelationGetRelationName(relation),
                               RelationGetRelationName(index)),
                        errdetail("It %s.", sentence(flaw)),
                        errhint("Restore the index to what it was and resume the job, or submit the job again.")));
    Key key;
    describe(relation, source, index, &key);
    index_close(index, NoLock);
    return key;
}

char *key_definition(const Key &key) {
    StringInfoData text;
    initStringInfo(&text);
    for (int i = 0; i < key.ncolumns; i++)
        appendStringInfo(&text, "%s%s%s", i > 0 ? ", " : "",
                         quote_identifier(get_attname(key.source, key.columns[i].attno, false)),
                         key.columns[i].descending ? " DESC" : "");
    return text.data;
}

} // namespace stride::walk
