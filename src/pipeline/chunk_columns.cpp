// The columns of chunk.
// Regime: pg.
#include "pipeline/chunk_columns.hpp"

#include "pg/tree.hpp"
#include "pipeline/user_sql.hpp"

namespace stride::pipeline {
namespace {

// Where chunk is read, and what of it.
struct Reading {
    Query *level;
    int rtindex;
    Index depth; // of the levels that are being looked into, below that one
    Bitmapset *columns;
    bool whole_row;
};

RangeTblEntry *entry_at(const Reading &reading, int rtindex) {
    return list_nth_node(RangeTblEntry, reading.level->rtable, rtindex - 1);
}

void find_chunk(Query *whole, Reading *reading) {
    pg::for_each_query(whole, [reading](Query *level) {
        for (int i = 1; i <= list_length(level->rtable); i++) {
            const RangeTblEntry *entry = list_nth_node(RangeTblEntry, level->rtable, i - 1);
            if (entry->rtekind != RTE_CTE || strcmp(entry->ctename, chunk_name) != 0) continue;
            reading->level = level;
            reading->rtindex = i;
        }
    });
    if (reading->level == nullptr) elog(ERROR, "the relation chunk is not read");
}

// The columns that a join merges stand in its condition, too.
void note_column(const Var *var, Reading *reading) {
    if (var->varlevelsup != reading->depth) return;
    const bool of_chunk = static_cast<int>(var->varno) == reading->rtindex;
    const bool of_join = entry_at(*reading, static_cast<int>(var->varno))->rtekind == RTE_JOIN;
    if (var->varattno == InvalidAttrNumber && (of_chunk || of_join)) reading->whole_row = true;
    if (of_chunk) reading->columns = bms_add_member(reading->columns, var->varattno);
}

bool note_columns(Node *node, void *context) {
    if (node == nullptr) return false;
    check_stack_depth();
    Reading *reading = static_cast<Reading *>(context);
    if (IsA(node, Var)) {
        note_column(reinterpret_cast<const Var *>(node), reading);
        return false;
    }
    if (!IsA(node, Query)) return pg::walk_expression(node, note_columns, context);
    reading->depth++;
    (void)pg::walk_query(reinterpret_cast<Query *>(node), note_columns, context, QTW_IGNORE_JOINALIASES);
    reading->depth--;
    return false;
}

} // namespace

List *read_columns(Query *whole, List *columns) {
    Reading reading = {};
    find_chunk(whole, &reading);
    (void)pg::walk_query(reading.level, note_columns, &reading, QTW_IGNORE_JOINALIASES);
    // A list of aliases, as in chunk AS c (a, b), counts on all columns.
    const Alias *alias = entry_at(reading, reading.rtindex)->alias;
    if (reading.whole_row || (alias != nullptr && alias->colnames != NIL)) return columns;
    List *read = NIL;
    for (int i = 0; i < list_length(columns); i++)
        if (bms_is_member(i + 1, reading.columns)) read = lappend(read, list_nth(columns, i));
    return read;
}

} // namespace stride::pipeline
