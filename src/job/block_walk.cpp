// Walks by blocks.
// Regime: pg.
#include "job/block_walk.hpp"

#include "job/leaves.hpp"
#include "shared/worker_slots.hpp"

namespace stride::job {
namespace {

bool is_above(Oid relation, Oid other) {
    return list_member_oid(find_all_inheritors(relation, NoLock, nullptr), other);
}

// What LOCK TABLE asks for, when the job is submitted and whenever its keeper takes the lock.
void require_lock_right(Oid source) {
    AclMode rights = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
#if PG_VERSION_NUM >= 170000
    rights |= ACL_MAINTAIN;
#endif
    if (pg_class_aclcheck(source, GetUserId(), rights) != ACLCHECK_OK)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("permission denied to lock table \"%s\"", get_rel_name(source)),
                        errdetail("A walk by blocks holds a SHARE lock on its source, as LOCK TABLE does."),
                        errhint("GRANT UPDATE on the table to role \"%s\".", GetUserNameFromId(GetUserId(), false))));
}

void lock_in_share_mode(Oid relation) {
    if (ConditionalLockRelationOid(relation, ShareLock)) return;
    const char *name = get_rel_name(relation);
    ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                    errmsg("could not obtain lock on relation \"%s\"", name == nullptr ? "?" : name),
                    errhint("The walk goes on when those who write the table have ended their transactions.")));
}

bool is_there(Oid relation) {
    return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation));
}

bool names_children(const catalog::Job &job) {
    const Source source = source_of(analysis::analyse_stored(job.stored_sql), job.source, job.stored_alias, true);
    return source.with_children;
}

} // namespace

bool walks_blocks(const catalog::Job &job) {
    return strcmp(job.walk, "block") == 0;
}

void check_block_source(const analysis::Statement &statement, bool deletes_source) {
    const bool writes = OidIsValid(statement.target) &&
                        (is_above(statement.source, statement.target) || is_above(statement.target, statement.source));
    if (writes || deletes_source)
        ereport(
            ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement cannot be run in chunks of blocks"),
             errdetail("It writes the table that is walked, and rows would move to where the walk comes or has been."),
             errhint("Add a primary key, or a unique index over NOT NULL columns, and leave walk out.")));
    require_lock_right(statement.source);
}

List *lock_tree(const catalog::Job &job) {
    lock_in_share_mode(job.source);
    if (!is_there(job.source)) return NIL;
    require_lock_right(job.source);
    List *locked = list_make1_oid(job.source);
    if (!names_children(job)) return locked;
    // With a table locked, no table comes or goes directly beneath it: until all are, one may further down.
    for (int before = 0; before < list_length(locked);) {
        before = list_length(locked);
        ListCell *cell;
        foreach (cell, find_all_inheritors(job.source, NoLock, nullptr)) {
            if (list_member_oid(locked, lfirst_oid(cell))) continue;
            lock_in_share_mode(lfirst_oid(cell));
            if (is_there(lfirst_oid(cell))) locked = lappend_oid(locked, lfirst_oid(cell));
        }
    }
    return locked;
}

void stay_reader(Oid relation) {
    LOCKTAG tag;
    SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
#if PG_VERSION_NUM >= 170000
    const bool held = LockHeldByMe(&tag, AccessShareLock, false);
#else
    const bool held = LockHeldByMe(&tag, AccessShareLock);
#endif
    LockRelId id = {relation, MyDatabaseId};
    if (!held) LockRelationIdForSession(&id, AccessShareLock);
}

int64 require_keeper(const catalog::Job &job) {
    if (const int64 keeper = shared::keeper_of(MyDatabaseId, job.job_id)) return keeper;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                    errmsg("the lock on %s was lost, and is being taken again", job.source_name),
                    errhint("The job goes on if nobody wrote the table meanwhile.")));
    pg_unreachable();
}

} // namespace stride::job
