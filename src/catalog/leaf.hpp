// stride_catalog.leaf, typed: the tables that a job walks, fixed when it is planned.
// Regime: pg.  Written by the worker that plans the job; the scheduler writes relations anew after a restore.
#pragma once

#include "pg/fixed.hpp"

namespace stride::catalog {

// The source itself, or one of its partitions or inheriting tables.  Strings are palloc'd.
struct Leaf {
    int32 leaf; // from 1
    Oid relation;
    char *relation_name;
    bool in_tree;  // the statement names the source without ONLY: tables may come and go beneath it
    bool walked;   // false: the statement's conditions rule all of its rows out
    Oid key_index; // InvalidOid without a key
    char *key_index_name;
    char *key_definition;
    char *shape;       // walk/key.hpp
    uint64 locked_xid; // of a block walk: the oldest transaction when the table was locked, walk/block.hpp; else 0
};

void insert_leaf(int64 job_id, const Leaf &leaf);

// One leaf; raises XX001 if it is not there.
Leaf find_leaf(int64 job_id, int32 leaf);

// The relations of all leaves of a job that is planned, ascending: oid[].
ArrayType *leaf_relations(int64 job_id);

// All leaves of a job, by number: List of Leaf *.  NIL before it is planned.
List *leaves_of(int64 job_id);

// Relation and index looked up again by name.
void rebind_leaf(int64 job_id, const Leaf &leaf);

} // namespace stride::catalog
