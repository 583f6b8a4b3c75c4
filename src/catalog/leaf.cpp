// stride_catalog.leaf.
// Regime: pg.
#include "catalog/leaf.hpp"

namespace stride::catalog {
namespace {

#define LEAF_COLUMNS                                                                                                   \
    "leaf, relation, relation_name, in_tree, walked, key_index, key_index_name, key_definition, shape, locked_xid"

constinit pg::FixedStatement insert_row = {
    "INSERT INTO stride_catalog.leaf (job_id, " LEAF_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    11,
    {INT8OID, INT4OID, OIDOID, TEXTOID, BOOLOID, BOOLOID, OIDOID, TEXTOID, TEXTOID, TEXTOID, INT8OID},
    nullptr};

constinit pg::FixedStatement select_one = {
    "SELECT " LEAF_COLUMNS " FROM stride_catalog.leaf WHERE job_id = $1 AND leaf = $2", 2, {INT8OID, INT4OID}, nullptr};

constinit pg::FixedStatement select_relations = {
    "SELECT array_agg(relation ORDER BY relation) FROM stride_catalog.leaf WHERE job_id = $1", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement select_all = {
    "SELECT " LEAF_COLUMNS " FROM stride_catalog.leaf WHERE job_id = $1 ORDER BY leaf", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement update_bindings = {
    "UPDATE stride_catalog.leaf SET relation = $3, key_index = $4 WHERE job_id = $1 AND leaf = $2",
    4,
    {INT8OID, INT4OID, OIDOID, OIDOID},
    nullptr};

NullableDatum arg_oid(Oid value) {
    return OidIsValid(value) ? pg::arg(ObjectIdGetDatum(value)) : pg::null_arg();
}

Leaf leaf_of(const pg::Row &row) {
    Leaf leaf = {};
    leaf.leaf = row.int32_or(1, 0);
    leaf.relation = row.oid_or(2, InvalidOid);
    leaf.relation_name = row.text(3);
    leaf.in_tree = row.bool_or(4, false);
    leaf.walked = row.bool_or(5, false);
    leaf.key_index = row.oid_or(6, InvalidOid);
    leaf.key_index_name = row.text(7);
    leaf.key_definition = row.text(8);
    leaf.shape = row.text(9);
    leaf.locked_xid = static_cast<uint64>(row.int64_or(10, 0));
    return leaf;
}

} // namespace

void insert_leaf(int64 job_id, const Leaf &leaf) {
    pg::run_fixed(insert_row, {pg::arg_int64(job_id), pg::arg_int32(leaf.leaf), arg_oid(leaf.relation),
                               pg::arg_text(leaf.relation_name), pg::arg(BoolGetDatum(leaf.in_tree)),
                               pg::arg(BoolGetDatum(leaf.walked)), arg_oid(leaf.key_index),
                               pg::arg_text(leaf.key_index_name), pg::arg_text(leaf.key_definition),
                               pg::arg_text(leaf.shape), pg::arg_int64(static_cast<int64>(leaf.locked_xid))});
}

Leaf find_leaf(int64 job_id, int32 leaf) {
    Leaf found = {};
    const uint64 rows = pg::read_fixed(select_one, {pg::arg_int64(job_id), pg::arg_int32(leaf)},
                                       [&](const pg::Row &row) { found = leaf_of(row); });
    if (rows == 0)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("job %lld has no table number %d", static_cast<long long>(job_id), leaf),
                        errhint("Submit the job again.")));
    return found;
}

ArrayType *leaf_relations(int64 job_id) {
    ArrayType *relations = nullptr;
    pg::read_fixed(select_relations, {pg::arg_int64(job_id)}, [&](const pg::Row &row) { relations = row.array(1); });
    return relations;
}

List *leaves_of(int64 job_id) {
    List *leaves = NIL;
    pg::read_fixed(select_all, {pg::arg_int64(job_id)}, [&](const pg::Row &row) {
        Leaf *leaf = static_cast<Leaf *>(palloc(sizeof(Leaf)));
        *leaf = leaf_of(row);
        leaves = lappend(leaves, leaf);
    });
    return leaves;
}

void rebind_leaf(int64 job_id, const Leaf &leaf) {
    pg::run_fixed(update_bindings,
                  {pg::arg_int64(job_id), pg::arg_int32(leaf.leaf), arg_oid(leaf.relation), arg_oid(leaf.key_index)});
}

} // namespace stride::catalog
