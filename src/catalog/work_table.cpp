// Work tables.
// Regime: pg.  They are made and dropped by the functions behind the commands, so that neither event triggers nor hooks
// of others run as the extension owner.
#include "catalog/work_table.hpp"

namespace stride::catalog {
namespace {

constexpr const char *work_schema = "stride_work";

constinit pg::FixedStatement insert_row = {
    "INSERT INTO stride_catalog.work_table (job_id, relation, query, query_relations) VALUES ($1, $2, $3, $4)",
    4,
    {INT8OID, OIDOID, TEXTOID, OIDARRAYOID},
    nullptr};

constinit pg::FixedStatement select_one = {
    "SELECT relation, query, query_relations FROM stride_catalog.work_table WHERE job_id = $1", 1, {INT8OID}, nullptr};

constinit pg::FixedStatement select_unneeded = {
    "SELECT w.job_id, w.relation FROM stride_catalog.work_table AS w LEFT JOIN stride_catalog.job AS j USING (job_id)"
    " WHERE j.job_id IS NULL OR j.state IN ('succeeded', 'succeeded_with_rejects')"
    " AND NOT EXISTS (SELECT FROM stride_catalog.reject AS r WHERE r.job_id = j.job_id)"
    " AND NOT EXISTS (SELECT FROM stride_catalog.job AS t WHERE t.retry_of = j.job_id"
    " AND t.state NOT IN ('succeeded', 'succeeded_with_rejects', 'failed', 'cancelled'))",
    0,
    {},
    nullptr};

constinit pg::FixedStatement delete_row = {
    "DELETE FROM stride_catalog.work_table WHERE job_id = $1", 1, {INT8OID}, nullptr};

bool has_column(TupleDesc columns, const char *name) {
    for (int i = 0; i < columns->natts; i++)
        if (strcmp(NameStr(TupleDescAttr(columns, i)->attname), name) == 0) return true;
    return false;
}

const char *ordinal_name(TupleDesc columns) {
    const char *name = "ordinal";
    for (int i = 1; has_column(columns, name); i++)
        name = psprintf("ordinal_%d", i);
    return name;
}

List *column_definitions(TupleDesc columns, const char *ordinal) {
    ColumnDef *first = makeColumnDef(ordinal, INT8OID, -1, InvalidOid);
    first->is_not_null = true;
    List *definitions = list_make1(first);
    for (int i = 0; i < columns->natts; i++) {
        const FormData_pg_attribute *column = TupleDescAttr(columns, i);
        definitions = lappend(definitions, makeColumnDef(NameStr(column->attname), column->atttypid, column->atttypmod,
                                                         column->attcollation));
    }
    return definitions;
}

// Written once and read once: there is nothing that vacuum could do for it.
List *storage_options() {
    char *option = pstrdup("autovacuum_enabled");
    Node *off = reinterpret_cast<Node *>(makeString(pstrdup("false")));
    return list_make2(makeDefElem(option, off, -1),
                      makeDefElemExtended(pstrdup("toast"), option, off, DEFELEM_UNSPEC, -1));
}

// A number that no table has in its name: no sequence gives one in a read-only transaction.
char *new_name(Oid schema) {
    char *name;
    do
        name = psprintf("spool_%u", GetNewObjectId());
    while (OidIsValid(get_relname_relid(name, schema)));
    return name;
}

Oid define_table(const char *name, List *columns, Oid owner) {
    CreateStmt *statement = makeNode(CreateStmt);
    statement->relation = makeRangeVar(pstrdup(work_schema), pstrdup(name), -1);
    statement->tableElts = columns;
    statement->options = storage_options();
    statement->oncommit = ONCOMMIT_NOOP;
    // The caller's default_tablespace and default_table_access_method are not ours.
    statement->tablespacename = get_tablespace_name(MyDatabaseTableSpace);
    statement->accessMethod = pstrdup("heap");
    const Oid table = DefineRelation(statement, RELKIND_RELATION, owner, nullptr, nullptr).objectId;
    CommandCounterIncrement();
    static const char *const namespaces[] = HEAP_RELOPT_NAMESPACES;
    const Datum toast_options =
        transformRelOptions(Datum{0}, statement->options, "toast", const_cast<char **>(namespaces), true, false);
    (void)heap_reloptions(RELKIND_TOASTVALUE, toast_options, true);
    NewRelationCreateToastTable(table, toast_options);
    return table;
}

void define_key(Oid table, const List *columns, bool primary) {
    IndexStmt *statement = makeNode(IndexStmt);
    statement->relation = makeRangeVar(pstrdup(work_schema), get_rel_name(table), -1);
    statement->accessMethod = pstrdup("btree");
    statement->tableSpace = get_tablespace_name(MyDatabaseTableSpace);
    statement->unique = true;
    statement->primary = statement->isconstraint = primary;
    ListCell *cell;
    foreach (cell, columns) {
        IndexElem *element = makeNode(IndexElem);
        element->name = get_attname(table, static_cast<AttrNumber>(lfirst_int(cell)), false);
        statement->indexParams = lappend(statement->indexParams, element);
    }
    (void)DefineIndex(table, statement, InvalidOid, InvalidOid, InvalidOid,
#if PG_VERSION_NUM >= 160000
                      -1,
#endif
                      false, false, false, false, true);
    CommandCounterIncrement();
}

// The table's rights are its owner's and this one, whatever the owner's default privileges say.
void let_read(Oid table, Oid owner, Oid reader) {
    Relation catalog = table_open(RelationRelationId, RowExclusiveLock);
    HeapTuple tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(table));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for relation %u", table);
    bool isnull;
    const Datum before = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
    Oid *members_before = nullptr;
    const int nbefore = isnull ? 0 : aclmembers(DatumGetAclP(before), &members_before);

    const AclItem right = {reader, owner, ACL_SELECT};
    Acl *after = aclupdate(acldefault(OBJECT_TABLE, owner), &right, ACL_MODECHG_ADD, owner, DROP_RESTRICT);
    Datum values[Natts_pg_class] = {};
    bool nulls[Natts_pg_class] = {};
    bool replaces[Natts_pg_class] = {};
    values[Anum_pg_class_relacl - 1] = PointerGetDatum(after);
    replaces[Anum_pg_class_relacl - 1] = true;
    tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replaces);
    CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
    Oid *members_after;
    const int nafter = aclmembers(after, &members_after);
    updateAclDependencies(RelationRelationId, table, 0, owner, nbefore, members_before, nafter, members_after);
    table_close(catalog, RowExclusiveLock);
    CommandCounterIncrement();
}

void join_extension(Oid table) {
    const ObjectAddress member = {RelationRelationId, table, 0};
    const ObjectAddress extension = {ExtensionRelationId, pg::extension_oid(), 0};
    recordDependencyOn(&member, &extension, DEPENDENCY_EXTENSION);
    // A dump would otherwise bring a GRANT on a table that it leaves out.
    recordExtObjInitPriv(table, RelationRelationId);
    CommandCounterIncrement();
}

// With everything that somebody has hung on it: nobody was told that it stays.
void drop_table(Oid table) {
    const ObjectAddress address = {RelationRelationId, table, 0};
    performDeletion(&address, DROP_CASCADE,
                    PERFORM_DELETION_INTERNAL | PERFORM_DELETION_QUIETLY | PERFORM_DELETION_SKIP_EXTENSIONS);
    CommandCounterIncrement();
}

// False while somebody uses it.  What hangs on it may be in use by itself: that is hardly waited for.
bool drop_if_unused(Oid table) {
    (void)set_config_option("lock_timeout", "100ms", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
    if (!ConditionalLockRelationOid(table, AccessExclusiveLock)) return false;
    if (is_work_table(table)) drop_table(table);
    return true;
}

} // namespace

Oid create_work_table(TupleDesc columns) {
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot make a work table on a standby server"),
                 errdetail("The rows of a query are saved in a table before they are walked."),
                 errhint("Submit or explain the pipeline on the primary server.")));
    const char *ordinal = ordinal_name(columns);
    const pg::OwnerSwitch previous = pg::enter_extension_owner();
    const Oid owner = GetUserId();
    const Oid table =
        define_table(new_name(get_namespace_oid(work_schema, false)), column_definitions(columns, ordinal), owner);
    define_key(table, list_make1_int(ordinal_attno), true);
    let_read(table, owner, previous.user);
    join_extension(table);
    pg::leave_extension_owner(previous);
    return table;
}

void make_unique(Oid work_table, const List *columns) {
    const pg::OwnerSwitch previous = pg::enter_extension_owner();
    define_key(work_table, columns, false);
    pg::leave_extension_owner(previous);
}

bool is_work_table(Oid relation) {
    const Oid schema = get_rel_namespace(relation);
    return OidIsValid(schema) && schema == get_namespace_oid(work_schema, true);
}

List *saved_columns(Relation work_table) {
    TupleDesc descriptor = RelationGetDescr(work_table);
    List *names = NIL;
    for (int i = ordinal_attno; i < descriptor->natts; i++)
        names = lappend(names, pstrdup(NameStr(TupleDescAttr(descriptor, i)->attname)));
    return names;
}

void empty_work_table(Relation work_table) {
    if (RelationGetNumberOfBlocks(work_table) == 0) return;
    LockRelationOid(RelationGetRelid(work_table), AccessExclusiveLock);
    heap_truncate_one_rel(work_table);
}

void delete_saved_rows(Oid work_table) {
    Relation relation = table_open(work_table, RowExclusiveLock);
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, nullptr);
    HeapTuple tuple;
    while (HeapTupleIsValid(tuple = systable_getnext(scan)))
        simple_heap_delete(relation, &tuple->t_self);
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
    table_close(relation, NoLock);
}

void insert_work_table(int64 job_id, const WorkTable &table) {
    pg::run_fixed(insert_row, {pg::arg_int64(job_id), pg::arg(ObjectIdGetDatum(table.relation)),
                               pg::arg_text(table.query), pg::arg_array(table.query_relations)});
}

bool find_work_table(int64 job_id, WorkTable *found) {
    return pg::read_fixed(select_one, {pg::arg_int64(job_id)}, [&](const pg::Row &row) {
               *found = WorkTable{row.oid_or(1, InvalidOid), row.text(2), row.array(3)};
           }) > 0;
}

void discard_work_table(Oid relation) {
    drop_table(relation);
}

bool drop_unneeded_work_tables() {
    struct Unneeded {
        int64 job_id;
        Oid relation;
    };
    List *unneeded = NIL;
    pg::read_fixed(select_unneeded, {}, [&](const pg::Row &row) {
        Unneeded *table = static_cast<Unneeded *>(palloc(sizeof(Unneeded)));
        *table = Unneeded{row.int64_or(1, 0), row.oid_or(2, InvalidOid)};
        unneeded = lappend(unneeded, table);
    });
    bool all = true;
    ListCell *cell;
    foreach (cell, unneeded) {
        const Unneeded *table = static_cast<Unneeded *>(lfirst(cell));
        if (drop_if_unused(table->relation))
            pg::run_fixed(delete_row, {pg::arg_int64(table->job_id)});
        else
            all = false;
    }
    return all;
}

} // namespace stride::catalog
