// Keys that are saved before they are walked.
// Regime: pg.
#include <string_view>

#include "job/worklist.hpp"

#include "analysis/statement.hpp"
#include "catalog/work_table.hpp"
#include "job/leaves.hpp"
#include "pg/test_point.hpp"
#include "pg/tree.hpp"
#include "walk/spool.hpp"
#include "walk/splits.hpp"

namespace stride::job {
namespace {

constexpr int64 most_keys = 4'000; // a chunk: they are held in memory, as constants of its plan and in hash tables of it

// Less than this is walked as fast as it is looked through.
constexpr double least_rows = 100'000;
constexpr double few = 0.05;

// An index is asked for a key in the time in which about so many of its rows are read in their order.
constexpr double rows_a_lookup = 25;

struct KeysQuery {
    Query *query;
    int rtindex;   // of the source
    bool narrowed; // by the statement's conditions; else it gives the keys of all rows
};

// The keys of the rows that the statement would meet; of all rows where that cannot be asked for by itself.
KeysQuery keys_query(const catalog::Job &job, const walk::Key &key) {
    Query *statement = analysis::analyse_stored(job.stored_sql);
    const analysis::Driver driver = analysis::find_driver(statement, job.source, job.stored_alias);
    KeysQuery keys = {analysis::driving_rows(driver), driver.rtindex, true};
    if (keys.query == nullptr) {
        Relation source = table_open(job.source, NoLock);
        keys = {walk::analyse_own(walk::select_keys_sql(source, key)), 1, false};
        keys.query->targetList = NIL;
        rt_fetch(1, keys.query->rtable)->inh = analysis::entry_of(driver)->inh;
        table_close(source, NoLock);
    }
    walk::select_keys_in_order(keys.query, key, keys.rtindex);
    return keys;
}

walk::Key key_of(const catalog::Job &job, const catalog::Leaf &leaf) {
    Relation relation = table_open(leaf.relation, AccessShareLock);
    const walk::Key key = walk::load_key(relation, job.source, leaf.key_index, job.wanted_key);
    table_close(relation, NoLock);
    return key;
}

// The first table that is walked, nullptr if none is.
const catalog::Leaf *first_walked(List *leaves) {
    ListCell *cell;
    foreach (cell, leaves)
        if (static_cast<catalog::Leaf *>(lfirst(cell))->walked) return static_cast<catalog::Leaf *>(lfirst(cell));
    return nullptr;
}

const char *first_foreign(List *leaves) {
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        if (leaf->walked && get_rel_relkind(leaf->relation) == RELKIND_FOREIGN_TABLE) return leaf->relation_name;
    }
    return nullptr;
}

// Why the keys cannot be saved in one table; nullptr = they can.
const char *saving_obstacle(const catalog::Job &job, List *leaves, const walk::Key &key) {
    const char *definition = first_walked(leaves)->key_definition;
    ListCell *cell;
    foreach (cell, leaves) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(lfirst(cell));
        if (leaf->walked && strcmp(leaf->key_definition, definition) != 0)
            return psprintf("The tables beneath %s are not all walked by the same key: %s is by (%s), %s by (%s).",
                            job.source_name, first_walked(leaves)->relation_name, definition, leaf->relation_name,
                            leaf->key_definition);
    }
    if (const char *foreign = first_foreign(leaves); foreign != nullptr)
        return psprintf("The foreign table %s has no key but a promised one, which each walk has to look at.", foreign);
    for (int i = 0; i < key.ncolumns; i++) {
        const Oid type = key.columns[i].compare_type;
        // unnest() makes several columns of a composite one.
        if (OidIsValid(get_array_type(type)) && !type_is_rowtype(type)) continue;
        return psprintf("The key column \"%s\" has the type %s, which is composite or has no array type.",
                        get_attname(job.source, key.columns[i].attno, false), format_type_be(type));
    }
    return nullptr;
}

// The planner has statistics of columns, and guesses what a comparison of an expression, or a function, leaves of them.
bool is_guess(Node *node) {
    List *compared = NIL;
    if (IsA(node, OpExpr)) compared = castNode(OpExpr, node)->args;
    if (IsA(node, ScalarArrayOpExpr)) compared = castNode(ScalarArrayOpExpr, node)->args;
    if (IsA(node, FuncExpr) && castNode(FuncExpr, node)->funcresulttype == BOOLOID) compared = list_make1(node);
    ListCell *cell;
    foreach (cell, compared) {
        Node *side = strip_implicit_coercions(static_cast<Node *>(lfirst(cell)));
        if (!IsA(side, Var) && contain_var_clause(side)) return true;
    }
    return false;
}

// How many keys the planner expects, by those of the conditions that need no guess.
double expected_keys(const KeysQuery &keys, const char *sql) {
    FromExpr *from = keys.query->jointree;
    List *founded = NIL;
    ListCell *cell;
    foreach (cell, make_ands_implicit(reinterpret_cast<Expr *>(from->quals)))
        if (!pg::find_node(lfirst(cell), is_guess)) founded = lappend(founded, lfirst(cell));
    from->quals = reinterpret_cast<Node *>(make_ands_explicit(founded));
    return walk::plan_whole(keys.query, sql)->planTree->plan_rows;
}

// nullptr unless the statement's conditions leave few of the rows of a large table.
const char *few_of_many(const catalog::Job &job, List *leaves, const walk::Key &key) {
    const double all = walk::estimate_rows(leaves);
    if (all < least_rows) return nullptr;
    const KeysQuery keys = keys_query(job, key);
    if (!keys.narrowed) return nullptr;
    const double found = expected_keys(keys, job.stored_sql);
    if (found >= few * all) return nullptr;
    return psprintf("the statement is expected to find %.0f of about %.0f rows: their keys are saved first", found,
                    all);
}

TupleDesc columns_of(const walk::Key &key) {
    TupleDesc columns = CreateTemplateTupleDesc(key.ncolumns);
    for (int i = 0; i < key.ncolumns; i++) {
        const auto number = static_cast<AttrNumber>(i + 1);
        TupleDescInitEntry(columns, number, psprintf("key_%d", i + 1), key.columns[i].compare_type, -1, 0);
        TupleDescInitEntryCollation(columns, number, key.columns[i].collation);
    }
    return columns;
}

// Saves the keys of one table behind those that end with `last`; returns how many there are.  Of the source itself they
// may be found by a parallel plan.
int64 save_leaf(const catalog::Job &job, Relation work_table, const catalog::Leaf &leaf, int64 last) {
    const walk::Key key = key_of(job, leaf);
    const KeysQuery keys = keys_query(job, key);
    RangeTblEntry *entry = rt_fetch(keys.rtindex, keys.query->rtable);
    PlannedStmt *plan;
    if (leaf.relation == job.source) {
        entry->inh = false;
        plan = walk::plan_parallel(keys.query, job.stored_sql);
    } else {
        const walk::Driving driving = {entry, nullptr, pg::ChildTable{job.source, leaf.relation}, walk::Access::any,
                                       key.index};
        plan = walk::plan_walk(keys.query, job.stored_sql, driving).statement;
    }
    return walk::save_rows(work_table, plan, job.stored_sql, last);
}

// All under the active snapshot; saved[i] is the number of keys of the leaf at index i.
void save_leaves(const catalog::Job &job, List *leaves, Oid work_table_oid, int64 *saved) {
    Relation work_table = table_open(work_table_oid, RowExclusiveLock);
    int64 last = 0;
    for (int i = 0; i < list_length(leaves); i++) {
        const catalog::Leaf *leaf = static_cast<catalog::Leaf *>(list_nth(leaves, i));
        if (leaf->walked) saved[i] = save_leaf(job, work_table, *leaf, last);
        last += saved[i];
    }
    table_close(work_table, NoLock);
}

// Walks the work table from the ordinal `from` to `to` and takes the keys after `after` of them as those of a chunk.
SavedKeys read_saved(Relation work_table, const walk::Key &key, int64 from, int64 after, int64 to) {
    ArrayBuildState *arrays[INDEX_MAX_KEYS] = {};
    Datum values[INDEX_MAX_KEYS];
    SavedKeys keys = {};
    ScanKeyData bounds[2];
    ScanKeyInit(&bounds[0], catalog::ordinal_attno, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
    ScanKeyInit(&bounds[1], catalog::ordinal_attno, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(to));
    Relation index = index_open(linitial_oid(RelationGetIndexList(work_table)), AccessShareLock);
    SysScanDesc scan = systable_beginscan_ordered(work_table, index, GetActiveSnapshot(), 2, bounds);
    HeapTuple tuple;
    bool isnull;
    while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection))) {
        for (int i = 0; i < key.ncolumns; i++)
            values[i] = heap_getattr(tuple, catalog::ordinal_attno + 1 + i, RelationGetDescr(work_table), &isnull);
        const int64 ordinal =
            DatumGetInt64(heap_getattr(tuple, catalog::ordinal_attno, RelationGetDescr(work_table), &isnull));
        if (ordinal <= after) keys.range.lower = walk::key_to_text(key, values);
        if (ordinal == to) keys.range.upper = walk::key_to_text(key, values);
        if (ordinal <= after) continue;
        for (int i = 0; i < key.ncolumns; i++)
            arrays[i] =
                accumArrayResult(arrays[i], values[i], false, key.columns[i].compare_type, CurrentMemoryContext);
        keys.count++;
    }
    systable_endscan_ordered(scan);
    index_close(index, NoLock);
    for (int i = 0; i < key.ncolumns && keys.count > 0; i++)
        keys.columns[i] = makeArrayResult(arrays[i], CurrentMemoryContext);
    return keys;
}

// How many rows the planner expects in the range of a chunk.
double rows_between(Relation source, const walk::Key &key, const walk::KeyRange &range) {
    const char *sql = walk::select_keys_sql(source, key);
    Query *query = walk::analyse_own(sql);
    walk::add_condition(query, walk::range_qual(key, 1, range));
    return walk::plan_walk(query, sql, walk::driving_of(query, key)).statement->planTree->plan_rows;
}

Relation open_work_table(const catalog::Job &job) {
    catalog::WorkTable found;
    Relation work_table = nullptr;
    if (catalog::find_work_table(job.job_id, &found)) work_table = try_relation_open(found.relation, AccessShareLock);
    if (work_table == nullptr) raise_source_changed(job, "The keys that it had saved are gone.");
    return work_table;
}

} // namespace

bool saves_keys(const catalog::Job &job) {
    constexpr std::string_view work_schema = "stride_work.";
    return strcmp(job.walk, "spool") == 0 && !std::string_view(job.source_name).starts_with(work_schema);
}

const char *why_keys_are_saved(const catalog::Job &job, List *leaves, KeySaving when) {
    const catalog::Leaf *first = first_walked(leaves);
    if (when == KeySaving::never || first == nullptr) return nullptr;
    const walk::Key key = key_of(job, *first);
    const char *obstacle = saving_obstacle(job, leaves, key);
    if (when == KeySaving::if_few) return obstacle == nullptr ? few_of_many(job, leaves, key) : nullptr;
    if (obstacle == nullptr) return "asked for: the keys of the rows are saved first";
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the keys of the job's rows cannot be saved"),
                    errdetail("%s", obstacle),
                    errhint("Name another unique key in the argument \"key\", or submit the job without "
                            "walk => 'spool' and source_rows.")));
    pg_unreachable();
}

void plan_saved_keys(const catalog::Job &job, int workers) {
    List *leaves = find_leaves_of(job);
    auto *saved = static_cast<int64 *>(palloc0(sizeof(int64) * static_cast<Size>(Max(1, list_length(leaves)))));
    if (const catalog::Leaf *first = first_walked(leaves); first != nullptr) {
        const walk::Key key = key_of(job, *first);
        if (const char *obstacle = saving_obstacle(job, leaves, key); obstacle != nullptr)
            raise_source_changed(job, obstacle);
        // Also for the making of the table: an index may be built in parallel, which does not go without.
        PushActiveSnapshot(GetTransactionSnapshot());
        const Oid work_table = catalog::create_work_table(columns_of(key));
        catalog::insert_work_table(job.job_id, catalog::WorkTable{work_table, nullptr, nullptr});
        save_leaves(job, leaves, work_table, saved);
        PopActiveSnapshot();
    }
    STRIDE_TEST_POINT("after_spool");
    walk::plan_saved_keys(job, leaves, saved, workers);
}

chunk::Reach WorklistStatement::reach(ArrayType *position, ArrayType *upper, int64 limit) {
    const int64 after =
        position != nullptr ? catalog::key_number(position) : catalog::last_number_before(job.job_id, leaf);
    const int64 left = catalog::key_number(upper) - after;
    const int64 rows = Min(left, Min(limit, most_keys));
    if (rows <= 0) return chunk::Reach{0, upper, nullptr, true};
    Relation work_table = open_work_table(job);
    keys = read_saved(work_table, key, position != nullptr ? after : after + 1, after, after + rows);
    table_close(work_table, NoLock);
    if (keys.count != rows)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("%lld of %lld saved keys of job %lld are there", static_cast<long long>(keys.count),
                               static_cast<long long>(rows), static_cast<long long>(job.job_id))));
    Relation source = table_open(job.source, NoLock);
    const auto found = static_cast<double>(keys.count);
    keys.dense = walk::hashes_keys(key, keys.count) && found * rows_a_lookup > rows_between(source, key, keys.range);
    (void)lock_driving_rows(source, qual(1, nullptr, nullptr));
    table_close(source, NoLock);
    return chunk::Reach{rows, rows == left ? upper : catalog::number_key(after + rows), keys.range.upper, rows == left};
}

Node *WorklistStatement::qual(int varno, ArrayType *, ArrayType *) const {
    Node *between = walk::range_qual(key, varno, keys.range);
    Node *member = walk::membership_qual(key, varno, keys.columns);
    if (keys.dense) {
        // What is no bare IN becomes no join, but a filter.
        BooleanTest *test = makeNode(BooleanTest);
        test->arg = reinterpret_cast<Expr *>(member);
        test->booltesttype = IS_TRUE;
        test->location = -1;
        member = reinterpret_cast<Node *>(test);
    }
    return reinterpret_cast<Node *>(makeBoolExpr(AND_EXPR, list_make2(between, member), -1));
}

walk::Access WorklistStatement::access() const {
    return keys.dense ? walk::Access::key : walk::Access::key_lookup;
}

int64 WorklistStatement::vanished(int64 unaccounted) {
    if (one_to_one() && unaccounted <= 0) return 0;
    Relation source = table_open(job.source, NoLock);
    const char *sql = walk::select_keys_sql(source, key);
    Query *query = walk::analyse_own(sql);
    walk::add_condition(query, qual(1, nullptr, nullptr));
    walk::Driving driving = walk::driving_of(query, key);
    driving.access = access();
    PlannedStmt *plan = walk::plan_walk(query, sql, driving).statement;
    table_close(source, NoLock);
    walk::LastKey found;
    walk::prepare_last_key(key, &found);
    walk::run_plan(plan, sql, &found.receiver);
    return Max(static_cast<int64>(0), keys.count - found.rows);
}

} // namespace stride::job
