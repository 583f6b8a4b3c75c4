// Dropping and rebuilding of indexes.
// Regime: pg.  Names are written out and read again under search_path = pg_catalog, pg_temp.
#include "sink/index_rebuild.hpp"

#include "catalog/split.hpp"
#include "pg/session.hpp"
#include "sink/index_choice.hpp"

namespace stride::sink {
namespace {

constexpr int default_target = -1;

void run_utility(Node *statement, const char *sql) {
    PlannedStmt *wrapper = makeNode(PlannedStmt);
    wrapper->commandType = CMD_UTILITY;
    wrapper->utilityStmt = statement;
    wrapper->stmt_location = -1;
    PushActiveSnapshot(GetTransactionSnapshot());
    ProcessUtility(wrapper, sql, false, PROCESS_UTILITY_QUERY, nullptr, nullptr, None_Receiver, nullptr);
    PopActiveSnapshot();
    CommandCounterIncrement();
}

Node *parse_one(const char *sql) {
    return linitial_node(RawStmt, pg_parse_query(sql))->stmt;
}

char *qualified_index(Oid table, const char *index) {
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), index);
}

int statistics_target(Oid index, AttrNumber column) {
    HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(index), Int16GetDatum(column));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for column %d of index %u", column, index);
    bool isnull;
    const Datum value = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attstattarget, &isnull);
    ReleaseSysCache(tuple);
    if (isnull) return default_target;
#if PG_VERSION_NUM >= 160000
    return DatumGetInt16(value);
#else
    return DatumGetInt32(value);
#endif
}

// The statistics targets of the index's columns, nullptr when all are default.
ArrayType *statistics_targets(Oid index) {
    Relation relation = index_open(index, NoLock);
    const int columns = RelationGetNumberOfAttributes(relation);
    index_close(relation, NoLock);
    Datum *targets = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(columns)));
    bool all_default = true;
    for (int i = 0; i < columns; i++) {
        const int target = statistics_target(index, static_cast<AttrNumber>(i + 1));
        targets[i] = Int32GetDatum(target);
        all_default = all_default && target == default_target;
    }
    if (all_default) return nullptr;
    return construct_array(targets, columns, INT4OID, sizeof(int32), true, TYPALIGN_INT);
}

void restore_statistics_targets(Oid table, const catalog::DroppedIndex &dropped) {
    if (dropped.statistics == nullptr) return;
    Datum *targets;
    int columns;
    deconstruct_array(dropped.statistics, INT4OID, sizeof(int32), true, TYPALIGN_INT, &targets, nullptr, &columns);
    for (int i = 0; i < columns; i++) {
        if (DatumGetInt32(targets[i]) == default_target) continue;
        const char *sql = psprintf("ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d",
                                   qualified_index(table, dropped.name), i + 1, DatumGetInt32(targets[i]));
        run_utility(parse_one(sql), sql);
    }
}

void drop_index(const catalog::Job &job, const IndexChoice &choice) {
    catalog::DroppedIndex dropped = {};
    dropped.job_id = job.job_id;
    dropped.name = choice.name;
    dropped.definition = pg_get_indexdef_string(choice.index);
    dropped.comment = GetComment(choice.index, RelationRelationId, 0);
    dropped.statistics = statistics_targets(choice.index);
    catalog::insert_dropped_index(dropped);
    const char *sql = psprintf("DROP INDEX %s RESTRICT", qualified_index(job.target, choice.name));
    run_utility(parse_one(sql), sql);
}

void create_index(Oid table, const catalog::DroppedIndex &dropped) {
    IndexStmt *statement = castNode(IndexStmt, parse_one(dropped.definition));
    // The table may have another name or schema by now.
    statement->relation = makeRangeVar(get_namespace_name(get_rel_namespace(table)), get_rel_name(table), -1);
    statement->idxcomment = dropped.comment;
    statement->reset_default_tblspc = true; // a definition without a tablespace means the database's
    run_utility(reinterpret_cast<Node *>(statement), dropped.definition);
    restore_statistics_targets(table, dropped);
}

// The index of that name on the table; InvalidOid if there is none.
Oid index_by_name(Oid table, const char *name) {
    const Oid found = get_relname_relid(name, get_rel_namespace(table));
    return OidIsValid(found) && IndexGetRelation(found, true) == table ? found : InvalidOid;
}

// Somebody has created an index of that name since: theirs stands, if it can be used.
void accept_index(const catalog::DroppedIndex &dropped, Oid index) {
    if (!get_index_isvalid(index))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("index \"%s\" cannot be rebuilt", dropped.name),
                        errdetail("An index of this name is there and is not valid."),
                        errhint("Drop it, and SELECT stride.resume(%lld).", static_cast<long long>(dropped.job_id))));
    const char *definition = pg_get_indexdef_string(index);
    const char *note = strcmp(definition, dropped.definition) == 0
                           ? psprintf("index \"%s\" was there already", dropped.name)
                           : psprintf("index \"%s\" was there already, as: %s; it was: %s", dropped.name, definition,
                                      dropped.definition);
    catalog::mark_rebuilt(dropped, 0, note);
}

} // namespace

void drop_indexes(const catalog::Job &job) {
    LockRelationOid(job.target, AccessExclusiveLock);
    if (catalog::has_plan(job.job_id)) return;
    Relation target = table_open(job.target, NoLock);
    require_rebuildable(target);
    List *choices = choose_indexes(target);
    table_close(target, NoLock);
    const int nest_level = pg::pin_search_path();
    ListCell *cell;
    foreach (cell, choices) {
        const IndexChoice *choice = static_cast<IndexChoice *>(lfirst(cell));
        if (choice->kept == nullptr) drop_index(job, *choice);
    }
    pg::unpin(nest_level);
}

void rebuild_index(const catalog::Job &job, const catalog::DroppedIndex &dropped) {
    LockRelationOid(job.target, ShareLock);
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(job.target))) {
        catalog::mark_abandoned(dropped, psprintf("index \"%s\" was not rebuilt, as table %s no longer exists: %s",
                                                  dropped.name, job.target_name, dropped.definition));
        return;
    }
    const int nest_level = pg::pin_search_path();
    const Oid existing = index_by_name(job.target, dropped.name);
    if (OidIsValid(existing)) {
        accept_index(dropped, existing);
    } else {
        instr_time start;
        instr_time duration;
        INSTR_TIME_SET_CURRENT(start);
        create_index(job.target, dropped);
        INSTR_TIME_SET_CURRENT(duration);
        INSTR_TIME_SUBTRACT(duration, start);
        catalog::mark_rebuilt(dropped, INSTR_TIME_GET_MILLISEC(duration), nullptr);
    }
    pg::unpin(nest_level);
}

} // namespace stride::sink
