// Pinned session state: search_path, output settings, and the switch to the extension owner.
// Regime: pg.  Takes no lock beyond what a syscache look-up takes; may not run user code.
#include "pg/session.hpp"

namespace stride::pg {
namespace {

constinit uint64 changes_heard = 0;

// Called for each entry of the relation cache that is not valid any more, or once for all of them.
void hear_of_change(Datum, Oid) noexcept {
    changes_heard++;
}

void set_for_level(const char *name, const char *value) {
    // PGC_SUSET is used as the owner of the setting is this extension, not the user: lc_monetary and its like are
    // user-settable anyway, and row_security is.
    (void)set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

HeapTuple extension_tuple(Relation catalog, SysScanDesc *scan) {
    ScanKeyData key[1];
    ScanKeyInit(&key[0], Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("pg_stride"));
    *scan = systable_beginscan(catalog, ExtensionNameIndexId, true, nullptr, 1, key);
    return systable_getnext(*scan);
}

} // namespace

int pin_search_path() {
    const int level = NewGUCNestLevel();
    set_for_level("search_path", "pg_catalog, pg_temp");
    return level;
}

int pin_output_settings() {
    const int level = pin_search_path();
    set_for_level("DateStyle", "ISO, MDY");
    set_for_level("IntervalStyle", "postgres");
    set_for_level("extra_float_digits", "3");
    set_for_level("TimeZone", "UTC");
    set_for_level("bytea_output", "hex");
    set_for_level("lc_monetary", "C");
    set_for_level("xmloption", "content");
    return level;
}

void unpin(int nest_level) {
    AtEOXact_GUC(false, nest_level);
}

OwnerSwitch enter_extension_owner() {
    OwnerSwitch previous = {};
    const Oid owner = extension_owner();
    GetUserIdAndSecContext(&previous.user, &previous.security_context);
    previous.nest_level = pin_search_path();
    set_for_level("row_security", "off");
    SetUserIdAndSecContext(owner, previous.security_context | SECURITY_LOCAL_USERID_CHANGE);
    return previous;
}

void leave_extension_owner(const OwnerSwitch &previous) {
    unpin(previous.nest_level);
    SetUserIdAndSecContext(previous.user, previous.security_context);
}

void require_writable(const char *function) {
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION), errmsg("cannot execute %s on a standby server", function),
                 errhint("Call it on the primary server; after a promotion unfinished jobs go on by themselves.")));
    if (XactReadOnly)
        ereport(ERROR,
                (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                 errmsg("cannot execute %s in a read-only transaction", function),
                 errhint("SET TRANSACTION READ WRITE first; default_transaction_read_only may have made it so.")));
}

uint64 table_changes() {
    if (changes_heard == 0) {
        CacheRegisterRelcacheCallback(hear_of_change, 0);
        changes_heard = 1;
    }
    AcceptInvalidationMessages();
    return changes_heard;
}

Oid extension_oid() {
    Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
    SysScanDesc scan;
    HeapTuple tuple = extension_tuple(catalog, &scan);
    const Oid result =
        HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->oid : InvalidOid;
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    return result;
}

Oid extension_owner() {
    Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
    SysScanDesc scan;
    HeapTuple tuple = extension_tuple(catalog, &scan);
    const Oid owner =
        HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_extension>(GETSTRUCT(tuple))->extowner : InvalidOid;
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    if (!OidIsValid(owner))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("extension \"pg_stride\" is not installed in this database"),
                        errhint("Run CREATE EXTENSION pg_stride in this database.")));
    return owner;
}

} // namespace stride::pg
