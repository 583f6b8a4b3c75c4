// stride_catalog.reject, typed: the rows kept aside, and the counts that a job's limits go by.
// Regime: pg.  Locks: lock_counts(), held to the end of the transaction, so that the rejects of a job are counted one
// after the other; those who take it hold their own split's row already and wait for no other row after it.
#pragma once

#include "pg/fixed.hpp"

namespace stride::catalog {

struct Reject {
    int64 job_id;
    int32 split;
    int32 chunk;
    ArrayType *row_key;
    Jsonb *row_data; // nullptr = could not be read
    const ErrorData *error;
};
void insert_reject(const Reject &reject);

bool has_rejects(int64 job_id);
uint64 discard_rejects(int64 job_id); // how many there were

// What a job that drives rejects again needs.  Rejects go leaf by leaf, in the order of their ids.
struct RejectPart {
    int64 last; // the id of its last reject
    int64 count;
};
List *cut_rejects(int64 job_id, int32 leaf, int64 least,
                  int most_parts); // List of RejectPart *, each of at least so many rejects

struct RejectedKeys {
    int count;
    Datum *ids; // int8
    List *keys; // List of ArrayType *, in the same order
};
RejectedKeys read_rejects(int64 job_id, int32 leaf, int64 after, int64 last, int64 limit);
void delete_rejects(const RejectedKeys &passed);
void fail_reject(int64 reject_id, const Reject &again); // its row failed again: the new error and data

// Takes the job's lock and counts its rows judged so far, committed ones, rejected ones included.
struct RejectCounts {
    int64 judged;
    int64 rejected;
};
RejectCounts lock_counts(int64 job_id);

} // namespace stride::catalog
