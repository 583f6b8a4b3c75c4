// The tables that a job walks.
// Regime: pg.
#include "job/leaves.hpp"

#include "job/block_walk.hpp"
#include "catalog/split.hpp"
#include "job/worklist.hpp"
#include "pg/session.hpp"
#include "walk/block.hpp"
#include "walk/peek.hpp"

namespace stride::job {
namespace {

bool is_read(const PlannedStmt *whole, Oid relation) {
    ListCell *cell;
    foreach (cell, whole->rtable) {
        const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
        if (entry->rtekind == RTE_RELATION && entry->relid == relation) return true;
    }
    return false;
}

// The tables with rows in the source's tree, ascending; the source alone if it is named with ONLY.
List *tables_of(Oid source, bool with_children, LOCKMODE lockmode) {
    if (!with_children) return list_make1_oid(source);
    List *tables = NIL;
    ListCell *cell;
    foreach (cell, find_all_inheritors(source, lockmode, nullptr))
        if (get_rel_relkind(lfirst_oid(cell)) != RELKIND_PARTITIONED_TABLE)
            tables = lappend_oid(tables, lfirst_oid(cell));
    list_sort(tables, list_oid_cmp);
    return tables;
}

void refuse_foreign_leaf(Relation relation, const ArrayType *wanted_key) {
    if (relation->rd_rel->relkind != RELKIND_FOREIGN_TABLE || wanted_key != nullptr) return;
    ereport(
        ERROR,
        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement cannot be run in chunks"),
         errdetail("The driving relation has the foreign table %s beneath it.",
                   qualified_name(RelationGetRelid(relation))),
         errhint("Name columns that are unique and never NULL in it, and the key of an index of each local table, in "
                 "the argument \"key\"; or submit a job for each of the local tables beneath it.")));
}

void refuse_key_update(const Source &source, const walk::Key &key) {
    Bitmapset *columns = nullptr;
    for (int i = 0; i < key.ncolumns; i++)
        columns = bms_add_member(columns, key.columns[i].attno - FirstLowInvalidHeapAttributeNumber);
    analysis::refuse_key_update(source.relation, source.updated, columns);
}

// The look ahead reads the key's columns, which an UPDATE or DELETE without a condition would not need.
void require_key_select(const walk::Key &key) {
    if (pg_class_aclcheck(key.source, GetUserId(), ACL_SELECT) == ACLCHECK_OK) return;
    for (int i = 0; i < key.ncolumns; i++)
        if (pg_attribute_aclcheck(key.source, key.columns[i].attno, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
            ereport(ERROR,
                    (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                     errmsg("permission denied for column \"%s\" of table \"%s\"",
                            get_attname(key.source, key.columns[i].attno, false), get_rel_name(key.source)),
                     errdetail("A job reads the columns of the key that it walks by."),
                     errhint("GRANT SELECT on these columns to role \"%s\".", GetUserNameFromId(GetUserId(), false))));
}

void describe_key(const Source &source, Relation relation, ArrayType *wanted_key, catalog::Leaf *leaf) {
    if (source.by_blocks) walk::require_blocks(relation);
    const walk::Key key = source.by_blocks ? walk::block_key(RelationGetRelid(relation), source.relation)
                                           : walk::choose_key(relation, source.relation, wanted_key);
    refuse_key_update(source, key);
    require_key_select(key);
    leaf->key_index = key.index;
    leaf->key_index_name = OidIsValid(key.index) ? qualified_name(key.index) : nullptr;
    leaf->key_definition = walk::key_definition(key);
    leaf->shape = walk::key_shape(key, GetUserId());
    if (source.by_blocks) leaf->locked_xid = walk::oldest_running();
}

// The index of the walk.  REINDEX CONCURRENTLY, as dropping and creating it again, leaves another one of the same name,
// in which positions mean the same as long as the shape of the key does.
Oid present_index(Relation relation, const catalog::Leaf &leaf) {
    List *indexes = RelationGetIndexList(relation);
    if (leaf.key_index_name == nullptr || list_member_oid(indexes, leaf.key_index)) return leaf.key_index;
    ListCell *cell;
    foreach (cell, indexes)
        if (strcmp(qualified_name(lfirst_oid(cell)), leaf.key_index_name) == 0) return lfirst_oid(cell);
    return leaf.key_index;
}

char *name_or_oid(Oid relation) {
    return get_rel_name(relation) != nullptr ? qualified_name(relation) : psprintf("with OID %u", relation);
}

[[noreturn]] void raise_new_table(const catalog::Job &job, Oid table) {
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
         errmsg("the tables of job %lld have changed since it was planned", static_cast<long long>(job.job_id)),
         errdetail("The table %s has become part of %s, and would not be walked.", name_or_oid(table), job.source_name),
         errhint("Go on without it by SELECT stride.alter(%lld, settings => '{\"new_partitions\": \"ignore\"}') and "
                 "stride.resume(%lld), or cancel the job and submit the statement again.",
                 static_cast<long long>(job.job_id), static_cast<long long>(job.job_id))));
    pg_unreachable();
}

// Whether all tables that were planned are among these, ascending, of the source.  Raises 55000 if one of these was not
// planned, unless it is ignored.
bool holds_planned(const catalog::Job &job, List *tables, bool new_ignored) {
    Datum *planned;
    int count;
    deconstruct_array(catalog::leaf_relations(job.job_id), OIDOID, sizeof(Oid), true, TYPALIGN_INT, &planned, nullptr,
                      &count);
    int next = 0;
    int found = 0;
    ListCell *cell;
    foreach (cell, tables) {
        while (next < count && DatumGetObjectId(planned[next]) < lfirst_oid(cell))
            next++;
        if (next < count && DatumGetObjectId(planned[next]) == lfirst_oid(cell))
            found++;
        else if (!new_ignored)
            raise_new_table(job, lfirst_oid(cell));
    }
    return found == count;
}

// That the source still had all tables of a job, and no others but those that its settings let pass, when the session had
// heard of so many changes.
struct WholeTree {
    int64 job_id;
    bool new_ignored;
    uint64 changes; // pg::table_changes(); 0 = not known of any job
    bool operator==(const WholeTree &) const = default;
};
constinit WholeTree known_whole = {};

} // namespace

char *qualified_name(Oid relation) {
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), get_rel_name(relation));
}

void raise_source_changed(const catalog::Job &job, const char *detail) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the tables of job %lld have changed since it was submitted", static_cast<long long>(job.job_id)),
             errdetail("%s", detail),
             errhint("Cancel the job with SELECT stride.cancel(%lld) and submit the statement again.",
                     static_cast<long long>(job.job_id))));
    pg_unreachable();
}

Source source_of(Query *query, Oid relation, const char *alias, bool by_blocks) {
    const analysis::Driver driver = analysis::find_driver(query, relation, alias);
    const bool updated = driver.level->commandType == CMD_UPDATE && driver.level->resultRelation == driver.rtindex;
    return Source{relation, analysis::entry_of(driver)->inh, by_blocks,
                  updated ? analysis::updated_columns(driver.level) : nullptr};
}

List *find_leaves(const Source &source, const PlannedStmt *whole, ArrayType *wanted_key) {
    List *leaves = NIL;
    ListCell *cell;
    foreach (cell, tables_of(source.relation, source.with_children, AccessShareLock)) {
        auto *leaf = static_cast<catalog::Leaf *>(palloc0(sizeof(catalog::Leaf)));
        leaf->leaf = list_length(leaves) + 1;
        leaf->relation = lfirst_oid(cell);
        leaf->relation_name = qualified_name(leaf->relation);
        leaf->in_tree = source.with_children;
        leaf->walked = leaf->relation == source.relation || is_read(whole, leaf->relation);
        if (leaf->walked) {
            Relation relation = table_open(leaf->relation, AccessShareLock);
            refuse_foreign_leaf(relation, wanted_key);
            describe_key(source, relation, wanted_key, leaf);
            table_close(relation, NoLock);
        }
        leaves = lappend(leaves, leaf);
    }
    return leaves;
}

List *find_leaves_of(const catalog::Job &job) {
    const Source source =
        source_of(analysis::analyse_stored(job.stored_sql), job.source, job.stored_alias, walks_blocks(job));
    // The planner calls functions of the user's for its estimates.
    PushActiveSnapshot(GetTransactionSnapshot());
    const PlannedStmt *whole = walk::plan_whole(analysis::analyse_stored(job.stored_sql), job.stored_sql);
    PopActiveSnapshot();
    return find_leaves(source, whole, job.wanted_key);
}

void require_same_tree(const catalog::Job &job, const catalog::Leaf &leaf, const settings::Settings &settings) {
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(leaf.relation)))
        raise_source_changed(job, psprintf("The table %s no longer exists.", leaf.relation_name));
    if (!leaf.in_tree) return;
    // Asked before the tree is read: what changes meanwhile is looked at the next time.
    const WholeTree now = {job.job_id, settings.new_partitions_ignored, pg::table_changes()};
    if (now == known_whole) return;
    List *tables = tables_of(job.source, true, NoLock);
    if (!list_member_oid(tables, leaf.relation))
        raise_source_changed(job,
                             psprintf("The table %s is no longer part of %s.", leaf.relation_name, job.source_name));
    if (holds_planned(job, tables, settings.new_partitions_ignored)) known_whole = now;
}

walk::Key require_same_key(const catalog::Job &job, const catalog::Leaf &leaf) {
    Relation relation = table_open(leaf.relation, NoLock);
    const walk::Key key = walk::load_key(relation, job.source, present_index(relation, leaf), job.wanted_key);
    const char *shape = walk::key_shape(key, job.owner);
    if (key.by_place && strstr(leaf.shape, walk::file_of(leaf.relation)) == nullptr)
        raise_source_changed(
            job, psprintf("The table %s was rewritten: its rows are not where they were.", leaf.relation_name));
    if (strcmp(shape, leaf.shape) != 0)
        raise_source_changed(
            job, psprintf("The walk of %s relies on (%s) and finds (%s).", leaf.relation_name, leaf.shape, shape));
    table_close(relation, NoLock);
    return key;
}

bool is_read_whole_each_time(const catalog::Job &job, const catalog::Leaf &leaf) {
    if (get_rel_relkind(leaf.relation) != RELKIND_FOREIGN_TABLE) return false;
    const walk::Key key = require_same_key(job, leaf);
    Relation source = table_open(job.source, AccessShareLock);
    const bool sorts = walk::look_ahead_sorts(source, key);
    table_close(source, NoLock);
    return sorts;
}

int compare_positions(int32 leaf, ArrayType *a, ArrayType *b, void *context) {
    auto *order = static_cast<PositionOrder *>(context);
    if (saves_keys(*order->job)) {
        const int64 first = catalog::key_number(a);
        const int64 second = catalog::key_number(b);
        return first < second ? -1 : first > second ? 1 : 0;
    }
    if (order->leaf != leaf) {
        const catalog::Leaf found = catalog::find_leaf(order->job->job_id, leaf);
        LockRelationOid(found.relation, AccessShareLock);
        order->key = require_same_key(*order->job, found);
        order->leaf = leaf;
    }
    return walk::compare_keys(order->key, a, b);
}

} // namespace stride::job
