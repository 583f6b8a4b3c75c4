// The walk key: the unique index that orders a job's driving relation, how its values are written down in the
// catalog, compared, and turned into qualifications of a query tree.
// Regime: pg.  Locks: the caller holds at least AccessShareLock on the relation.  May not write anything.
#pragma once

#include "pg/pg.hpp"

namespace stride::walk {

// One column of the key, in index order.
struct KeyColumn {
    AttrNumber attno; // attribute number in the source
    Oid column_type;  // declared type of the column (may be a domain)
    int32 column_typmod;
    Oid column_collation; // collation of the column's Var
    Oid compare_type;     // type that the operators take: opclass input type, or the column's base type if polymorphic
    Oid collation;        // the index's own collation, InvalidOid if not collatable
    Oid opfamily;
    Oid opcintype;    // opclass input type, for look-ups in the operator family
    bool descending;  // DESC in the index
    bool nulls_first; // no row has a NULL, but an ORDER BY must name the index's own option to match its order
};

// A usable key: unique, immediate, valid, non-partial, non-expression btree index, all columns NOT NULL, deterministic
// collations.  Or, of a foreign table, columns that are promised to be unique and never NULL: nothing but the rows
// themselves can prove it, so that whoever reads them in order looks at each (walk/peek.hpp).
struct Key {
    Oid source;   // the driving relation as the statement names it
    Oid relation; // the table that is walked and has the index: the source, or one of its leaves
    Oid index;    // InvalidOid if promised or by place
    bool promised;
    bool by_place; // the system column ctid, see walk/block.hpp
    int ncolumns;
    KeyColumn columns[INDEX_MAX_KEYS];
};

// A position in key order: one text per key column, in the type's output form under pinned_output_settings
// (pg/session.hpp), as an array of text without NULL elements.  nullptr stands for "before the first row".
using KeyText = ArrayType *;

// Chooses the key of `relation`, the source or one of its leaves: the index whose columns are exactly `wanted` (a
// name[] in order; nullptr = any; the primary key first, else the qualifying unique index with the fewest columns, then
// the narrowest).  INCLUDE columns are ignored; a column that the source has not cannot be part of it.  Raises 55000
// (object_not_in_prerequisite_state) with DETAIL (why each candidate does not qualify) and HINT if there is none, 42703
// if a wanted column does not exist, 22004 or 22023 for a wanted array with NULLs or without columns. Of a foreign
// table the wanted columns are the key, in the default order of their types; 0A000 if none are wanted, 42883 for a type
// without an order.
Key choose_key(Relation relation, Oid source, ArrayType *wanted);

// Whether one of the tables of this server that are read with the source has no key.
bool lacks_key(Oid source, bool with_children);

// The same key again from its stored index oid, or, without an index, from the wanted columns; raises 55000 when the
// index is gone or no longer qualifies, and 55006 (worth another try later) when only the snapshots of other
// transactions keep it from being used yet.
Key load_key(Relation relation, Oid source, Oid index, ArrayType *wanted);

// Column names of the key, quoted and comma-separated, with DESC where the index has it ("tenant_id, id DESC");
// palloc'd.
char *key_definition(const Key &key);

// A position half-open range: rows with lower < key <= upper.  A null lower means no lower bound, a null upper no upper
// one.  A range whose lower is not below its upper is empty.
struct KeyRange {
    KeyText lower;
    KeyText upper;
};

// The qualification "lower < key <= upper" on the source at range table index `varno` of a query level, with the
// bounds as Consts; nullptr if the range has no bound.  Columns whose values are equal (as the index compares them) in
// lower and upper from the left become equalities; the rest is an OR of the parts of range_parts(), not a pair of row
// comparisons: the planner (of 15) takes such a pair for a quarter of the table, and the upper one ends an index
// scan only where its first column does (a chunk that runs into a tenant with most of the rows would read all of it).
Node *range_qual(const Key &key, int varno, const KeyRange &range);

// The qualification "key is one of these", an OR of equalities, one a key (List of KeyText, at least one).
Node *keys_qual(const Key &key, int varno, List *keys);

// The qualification "key is one of these", for more keys than an OR is good for: key IN (SELECT .. FROM unnest(..)),
// with an array a column, of the column's compare_type, in the same order; nullptr = with Params $1 .. $n, for explain
// to show.
Node *membership_qual(const Key &key, int varno, const Datum *columns);

// Whether so many keys can be compared with by hashing, in the memory that a plan may take for it.
bool hashes_keys(const Key &key, int64 count);

// Has a SELECT without columns give the key of the source at range table index `varno`, as values of compare_type, each
// key once and in index order.
void select_keys_in_order(Query *query, const Key &key, int varno);

// The range cut into disjoint parts in key order, as a List of Lists of clauses (to be ANDed; an empty List: no bound).
// Each part is equalities on leading columns and at most one column between bounds, so an ordered index scan reads just
// its rows, in mixed directions too.  NIL if the range is empty.
List *range_parts(const Key &key, int varno, const KeyRange &range);

// The same range with Params $1 .. $n (lower) and $n+1 .. $2n (upper), for explain to show: two row comparisons where
// all columns have one direction and operators of one name, otherwise the OR of the parts.  Not meant to be planned.
Node *range_qual_with_params(const Key &key, int varno);

// An operator of the key's column: strategy is a btree strategy number in index order, so "after" is > or, for DESC, <.
Oid key_operator(const KeyColumn &column, StrategyNumber strategy);

// -1, 0, 1 in index order.
int compare_keys(const Key &key, KeyText a, KeyText b);

// The comparison behind it, prepared once for many pairs of values in the memory context current at prepare_order().
struct KeyOrder {
    const Key *key;
    FmgrInfo compare[INDEX_MAX_KEYS];
};
void prepare_order(const Key &key, KeyOrder *order);
int compare_column(KeyOrder *order, int column, Datum a, Datum b);
int compare_values(KeyOrder *order, const Datum *a, const Datum *b);

// Converts one key (values of the columns' types) to its stored form, and back: one stored element, or a whole key into
// `values`, of compare_type.  Raises XX001 (data_corrupted) if the stored key has not the key's shape.
KeyText key_to_text(const Key &key, const Datum *values);
Datum text_to_value(const KeyColumn &column, const char *text);
void text_to_values(const Key &key, KeyText stored, Datum *values);

// As key_to_text, for many keys in a row: the caller has pinned the output settings.
KeyText encode_key(const Key &key, const Datum *values);

// What a job relies on in its source, in words, so that it compares equal after a restore: "id bigint; name text
// COLLATE "en_US" version 153.14", each key column's name, type, direction and, where they are not the usual ones, the
// operators that it is ordered by and the collation with the version its provider has now.  Behind them the policies
// that decide which rows of the source `owner` sees, if any do.  palloc'd.
char *key_shape(const Key &key, Oid owner);

} // namespace stride::walk
