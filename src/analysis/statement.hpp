// From the SQL text that a user hands in to a statement that can be run in chunks.
// Regime: pg.  Locks: parse analysis takes AccessShareLock (RowExclusiveLock on a target) and keeps it to the end of
// the transaction.  May not execute anything of the user's.
#pragma once

#include "pg/pg.hpp"

namespace stride::analysis {

enum class StatementKind : unsigned char { insert, update, delete_, merge, select };

// "insert", "update", "delete", "merge", "select".
const char *kind_name(StatementKind kind);

// What the submitter accepts knowingly (settings of the same names), and what a pipeline knows of the statement that it
// was compiled to.
struct AnalysisOptions {
    const char *source_alias;      // argument `source` of submit, nullptr = choose
    bool freeze_time;              // now() and its kin become constants
    bool self_reference_per_chunk; // {"self_reference": "per_chunk"}
    bool at_least_once;            // {"delivery": "at_least_once"}
    bool own_levels;               // the query levels over the driver are ours, and give the same for parts of its rows
    bool own_delete;               // one WITH query of ours deletes the driving rows that are written
    ArrayType *key;                // argument `key`, nullptr = choose: a foreign table needs one to drive the statement
    bool keeps_last;               // of the rows of a chunk with one conflict key only the last is written
    Oid work_table; // in which the driving rows are saved; InvalidOid = none: no table of ours may be named
};

// What the user wrote, as far as a parse tree's locations count in it: `whole` is the text that they count bytes of, in
// which the user's own texts begin at `start` (ascending; nullptr = none).  Errors point into those.
struct Texts {
    const char *whole;
    const char *text[2];
    int start[2];
};

// A statement as the grammar gives it.
struct Parsed {
    RawStmt *raw;
    Texts texts;
    bool deparsed = false; // by us, not written by the user: the session's search_path and formats do not matter to it
};

// Parses the one statement of a job.  Raises 22004 / 22023 for NULL or empty text, 42601 for several statements or
// unparsable SQL.
Parsed parse_statement(const char *sql);

// Runs f() with the positions of its errors moved into the user's own texts.
void move_error_position(void *texts);
template <class F>
auto with_positions(const Texts &texts, F &&f) {
    ErrorContextCallback callback = {error_context_stack, move_error_position, const_cast<Texts *>(&texts)};
    error_context_stack = &callback;
    auto result = f();
    error_context_stack = callback.previous;
    return result;
}

struct Statement {
    StatementKind kind;
    Oid source;               // the driving relation: an ordinary table, or one with partitions or inheritance children
    const char *source_alias; // name by which find_driver() finds it again in `sql`
    Oid target;               // the written relation; InvalidOid for SELECT
    Bitmapset *updated;       // updated_columns()
    List *relations; // List of Oid, ascending, without duplicates: every relation named (views, not their bases)
    const char *sql; // deparsed by pg_get_querydef: every name qualified, time frozen.  This is what workers run.
    List *warnings;  // List of char *: what chunking may change but is not refused (volatile functions, triggers ...)
};

// Parse analysis alone, of a copy: not judged, not rewritten.  Raises 42P02 for $1, 42P01 and the like as PostgreSQL
// does.
Query *analyse_raw(const Parsed &parsed);

// Analyses and judges one statement as the current user.  Raises 42P02 for $1, 42712 and 42P01 for a `source` that
// names two table references or none, 0A000 for utility commands and for each refusal of the design (LIMIT, DISTINCT,
// windows, aggregates ...), 42809 for a view as target of anything but an INSERT, 42P01 and 42501 as PostgreSQL itself
// does.  Privileges are those that the executor would check, checked here already.
Statement *analyse(const Parsed &parsed, const AnalysisOptions &options);

// A query whose rows are saved before they are walked.
struct SourceQuery {
    const char *sql; // as Statement::sql
    List *relations; // as Statement::relations
    TupleDesc columns;
};

// Analyses and judges one as the current user.  Raises 0A000 where it changes or locks rows, or reads what workers
// cannot see; 42611 and 42701 for columns without a name or with the same one, 42P16 for a column of a pseudo-type, and
// what PostgreSQL itself does.
SourceQuery analyse_source_query(const Parsed &parsed, bool with_frozen_time);

// A statement that is driven by what has no key: its rows are saved first, and read from there.
struct KeylessStatement {
    Query *query; // the statement, analysed
    Query *level; // of the reference that drives it
    int rtindex;
    List *columns;    // those of it that the statement reads: IntList of attribute numbers
    SourceQuery rows; // gives these columns of the rows that meet the conditions on them alone
};

// Judges what is saved as analyse_source_query() does.  nullptr where the statement is not such a one.  With `spools` the
// submitter has asked for rows to be saved, whatever it takes.
KeylessStatement *find_keyless(const Parsed &parsed, const char *source_alias, bool spools, bool with_frozen_time);

// The statement, made one that reads the rows from their work table, which goes by its own name there.
Parsed read_from(const KeylessStatement &statement, Oid work_table);

// The columns of a table in the source of a MERGE that have to be unique, so that a target row meets one source row at
// most: those that ON compares (IntList of attribute numbers).  NIL where none would do, and for other statements.
List *columns_to_be_unique(Query *query, Oid table);

// The relations that are written where the target is: it, beneath a view the relation that PostgreSQL writes in its
// place, and, if `with_children`, the partitions and children of the last one.  What an INSTEAD OF trigger writes cannot
// be seen.
List *written_relations(Oid target, bool with_children);

// Raises 0A000 if rows that are deleted from the tables, which are the source or belong to it, take others of the source,
// or rows of the target, with them by a foreign key.
void refuse_cascades(const List *tables, Oid source, Oid target);

// Every relation that the query names at any level: List of Oid, ascending, without duplicates.
List *named_relations(Query *query);

// Where the driving relation stands in an analysed (not rewritten) tree: the query level that holds it and its
// range table index there.
struct Driver {
    Query *level;
    int rtindex;
};

// The entry that names the driving relation, also after add_range() put a subquery around it.
RangeTblEntry *entry_of(const Driver &driver);

// Finds `source` by oid and alias; raises 55000 if it is not there exactly once: its name means another table by now.
Driver find_driver(Query *query, Oid source, const char *source_alias);

// The source as the table that a pipeline's WITH query deletes from, where that is another reference to it than the
// driver; level = nullptr if there is none.
Driver find_deleted(Query *query, const Driver &driver);

// Adds `qual` to the driver: to the conditions of its level, or, where that is a MERGE, in a subquery in its place.
void add_range(Query *query, const Driver &driver, Node *qual);

// The rows that the driver's level makes of FROM and WHERE, as a query without columns in which the driver has the same
// range table index.  nullptr where that could not be asked for by itself, or would not find the same rows each time:
// it refers to the levels around it, changes data, calls volatile functions, or is a MERGE, which takes every row of
// its source.
Query *driving_rows(const Driver &driver);

// Parse analysis of Statement::sql (which names everything), under search_path = pg_catalog, pg_temp.  Not rewritten.
Query *analyse_stored(const char *sql);

// The columns that an UPDATE, ON CONFLICT or MERGE assigns, and those generated from them: what it may change in a row
// of its target, triggers apart.  Offset by FirstLowInvalidHeapAttributeNumber.
Bitmapset *updated_columns(Query *query);

// Raises 0A000 if the statement updates a column of the key that its source is walked by.  Both sets are offset by
// FirstLowInvalidHeapAttributeNumber.
void refuse_key_update(Oid source, const Bitmapset *updated, const Bitmapset *key_columns);

// The tree as SQL with every name qualified.
char *deparse(Query *query);

} // namespace stride::analysis
