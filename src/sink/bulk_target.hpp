// The tables that a bulk insert writes: the target, or the leaves that its rows are routed to, each with its batch.
// Regime: pg.  Everything lives in the executor state's query context and goes with it.
#pragma once

#include "pg/pg.hpp"
#include "sink/index_runs.hpp"

namespace stride::sink {

constexpr int batch_tuples = 1000; // as COPY: larger batches only cost memory
constexpr Size batch_bytes = 64 * 1024;
constexpr int most_open_leaves = 32;           // batches of leaves kept open at a time
constexpr Size most_kept_entries = 512 * 1024; // bytes of index entries of all tables together

// One table's batch.
struct Batch {
    ResultRelInfo *table;
    TupleTableSlot *slots[batch_tuples];
    int count;
    Size bytes;
    BulkInsertState state;
    IndexRuns *runs;
    bool plain; // no triggers, constraints or generated columns: nothing to do with a row before it is written
};

struct BulkTarget {
    EState *estate;
    MemoryContext memory; // the query's
    ResultRelInfo *root;  // the table that the statement names
    ModifyTableState *routing_state;
    PartitionTupleRouting *routing; // nullptr = not partitioned
    List *batches;                  // List of Batch *
    CommandId command;
    uint64 written;
    double index_ms; // spent on what follows rows into the heap
};

// Opens the target named by the plan for insertion: result relation, indexes, routing; fires BEFORE STATEMENT triggers.
BulkTarget *open_target(EState *estate, Index target_index);

// Takes one row in the target's row type; the slot is the caller's.
void add_row(BulkTarget *target, TupleTableSlot *slot);

// Writes all batches, fires AFTER STATEMENT triggers.
void finish_target(BulkTarget *target);

// Closes what open_target opened.  After AfterTriggerEndQuery.
void close_target(BulkTarget *target);

} // namespace stride::sink
