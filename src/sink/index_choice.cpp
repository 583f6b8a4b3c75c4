// The choice of the indexes that are rebuilt.
// Regime: pg.  Reads catalogs; the check for emptiness reads the target up to its first visible row.
#include "sink/index_choice.hpp"

namespace stride::sink {
namespace {

constexpr const char *keep_hint = "Use indexes => 'keep'.";

bool owns(Oid relation) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relation, GetUserId());
#else
    return pg_class_ownercheck(relation, GetUserId());
#endif
}

bool may_create_in_schema(Oid schema) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#endif
}

bool may_create_in_tablespace(Oid tablespace) {
    if (!OidIsValid(tablespace) || tablespace == MyDatabaseTableSpace) return true;
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(TableSpaceRelationId, tablespace, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#else
    return pg_tablespace_aclcheck(tablespace, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#endif
}

// Whether pg_depend holds a row with the index on one side; with `to_extension` only one on an extension counts.
bool has_dependency(Oid scan_index, AttrNumber class_column, AttrNumber object_column, Oid index, bool to_extension) {
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], class_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
    ScanKeyInit(&keys[1], object_column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(index));
    Relation catalog = table_open(DependRelationId, AccessShareLock);
    SysScanDesc scan = systable_beginscan(catalog, scan_index, true, nullptr, 2, keys);
    bool found = false;
    HeapTuple tuple;
    while (!found && (tuple = systable_getnext(scan)) != nullptr) {
        const Form_pg_depend row = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple));
        found = !to_extension || row->refclassid == ExtensionRelationId;
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    return found;
}

bool has_dependants(Oid index) {
    return has_dependency(DependReferenceIndexId, Anum_pg_depend_refclassid, Anum_pg_depend_refobjid, index, false);
}

bool depends_on_extension(Oid index) {
    return has_dependency(DependDependerIndexId, Anum_pg_depend_classid, Anum_pg_depend_objid, index, true);
}

const char *kept_because(Relation index) {
    const Form_pg_index form = index->rd_index;
    if (form->indisprimary) return "it is the primary key";
    if (form->indisexclusion) return "it is an exclusion constraint";
    if (form->indisunique) return "it is unique";
    if (form->indisreplident) return "it is the replica identity";
    if (form->indisclustered) return "the table is clustered on it";
    if (!form->indisvalid || !form->indisready || !form->indislive) return "it is not valid";
    if (has_dependants(RelationGetRelid(index))) return "other objects depend on it";
    if (depends_on_extension(RelationGetRelid(index))) return "it depends on an extension";
    if (!may_create_in_tablespace(index->rd_rel->reltablespace)) return "you may not create indexes in its tablespace";
    return nullptr;
}

bool is_empty(Relation table) {
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    TupleTableSlot *slot = table_slot_create(table, nullptr);
    TableScanDesc scan = table_beginscan(table, snapshot, 0, nullptr);
    const bool empty = !table_scan_getnextslot(scan, ForwardScanDirection, slot);
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    UnregisterSnapshot(snapshot);
    return empty;
}

// A table whose foreign key refers to this one, other than itself; InvalidOid if there is none.
Oid referring_table(Relation target) {
    const TriggerDesc *triggers = target->trigdesc;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        const Trigger &trigger = triggers->triggers[i];
        if (RI_FKey_trigger_type(trigger.tgfoid) == RI_TRIGGER_PK && OidIsValid(trigger.tgconstrrelid) &&
            trigger.tgconstrrelid != RelationGetRelid(target))
            return trigger.tgconstrrelid;
    }
    return InvalidOid;
}

void require_plain_table(Relation target) {
    const char *name = RelationGetRelationName(target);
    const char relkind = target->rd_rel->relkind;
    if (relkind == RELKIND_PARTITIONED_TABLE)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot drop and rebuild the indexes of the partitioned table \"%s\"", name),
                        errhint("Load into a table that is attached as a partition afterwards, or use indexes => "
                                "'keep'.")));
    if (relkind != RELKIND_RELATION)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot drop and rebuild the indexes of \"%s\"", name),
                 errdetail("It is not an ordinary table."), errhint("%s", keep_hint)));
    if (target->rd_rel->relispartition)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot drop and rebuild the indexes of the partition \"%s\"", name),
                        errhint("Detach it before the load and attach it afterwards, or use indexes => 'keep'.")));
    const Oid referring = referring_table(target);
    if (OidIsValid(referring))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot drop and rebuild the indexes of table \"%s\"", name),
                        errdetail("A foreign key of table \"%s\" refers to it.", get_rel_name(referring)),
                        errhint("Add the foreign key after the load, or use indexes => 'keep'.")));
}

void require_rights(Relation target) {
    const char *role = GetUserNameFromId(GetUserId(), false);
    if (!owns(RelationGetRelid(target)))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("must be owner of table %s", RelationGetRelationName(target)),
                        errdetail("Role \"%s\" asks for its indexes to be dropped and rebuilt.", role),
                        errhint("Submit as its owner, or use indexes => 'keep'.")));
    if (!may_create_in_schema(RelationGetNamespace(target)))
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("permission denied for schema %s", get_namespace_name(RelationGetNamespace(target))),
                        errdetail("Role \"%s\" could not create the indexes again after they were dropped.", role),
                        errhint("GRANT CREATE ON SCHEMA to this role, or use indexes => 'keep'.")));
}

} // namespace

List *choose_indexes(Relation target) {
    List *choices = NIL;
    List *indexes = RelationGetIndexList(target);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        IndexChoice *choice = static_cast<IndexChoice *>(palloc(sizeof(IndexChoice)));
        *choice = IndexChoice{lfirst_oid(cell), pstrdup(RelationGetRelationName(index)), kept_because(index)};
        choices = lappend(choices, choice);
        index_close(index, NoLock);
    }
    return choices;
}

void require_rebuildable(Relation target) {
    require_plain_table(target);
    require_rights(target);
    if (!is_empty(target))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("table \"%s\" is not empty", RelationGetRelationName(target)),
                        errdetail("Dropping and rebuilding indexes is for loads into an empty table."),
                        errhint("TRUNCATE the table first, or use indexes => 'keep'.")));
}

} // namespace stride::sink
