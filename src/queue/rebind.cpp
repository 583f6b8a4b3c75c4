// Restored, cloned and recovered jobs.
// Regime: pg.  Name look-ups take AccessShareLock for their duration.
#include "queue/rebind.hpp"

#include "catalog/leaf.hpp"
#include "catalog/split.hpp"
#include "catalog/work_table.hpp"
#include "job/worklist.hpp"
#include "walk/key.hpp"

namespace stride::queue {
namespace {

// The settings that stop recovery before the end of WAL: a server that was started with one of them went back in time.
constexpr const char *recovery_targets[] = {"recovery_target", "recovery_target_lsn", "recovery_target_name",
                                            "recovery_target_time", "recovery_target_xid"};

bool recovered_to_a_point() {
    for (const char *name : recovery_targets) {
        const char *value = GetConfigOption(name, true, false);
        if (value != nullptr && value[0] != '\0') return true;
    }
    return false;
}

bool same_database(const catalog::Home &a, const catalog::Home &b) {
    return a.system_identifier == b.system_identifier && a.database == b.database && a.extension == b.extension;
}

Oid relation_by_name(const char *qualified) {
    RangeVar *name = makeRangeVarFromNameList(stringToQualifiedNameList(qualified
#if PG_VERSION_NUM >= 160000
                                                                        ,
                                                                        nullptr
#endif
                                                                        ));
    return RangeVarGetRelid(name, AccessShareLock, true);
}

// The relations by their stored names, ascending; nullptr and *missing when one is not there.
ArrayType *relations_by_name(ArrayType *names, const char **missing) {
    Datum *elements;
    int count;
    deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr, &count);
    List *found = NIL;
    for (int i = 0; i < count; i++) {
        const char *name = TextDatumGetCString(elements[i]);
        const Oid relation = relation_by_name(name);
        if (!OidIsValid(relation)) {
            *missing = name;
            return nullptr;
        }
        found = list_append_unique_oid(found, relation);
    }
    list_sort(found, list_oid_cmp);
    Datum *sorted = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(Max(1, count))));
    for (int i = 0; i < list_length(found); i++)
        sorted[i] = ObjectIdGetDatum(list_nth_oid(found, i));
    return construct_array(sorted, list_length(found), OIDOID, sizeof(Oid), true, TYPALIGN_INT);
}

// One of the tables that a job, `planned`, walks; why not, or nullptr.
const char *rebind_leaf(const catalog::Job &job, int64 planned, catalog::Leaf *leaf) {
    leaf->relation = relation_by_name(leaf->relation_name);
    if (!OidIsValid(leaf->relation)) return psprintf("table %s is not here", leaf->relation_name);
    if (leaf->walked) {
        // A foreign table's key has no index.
        if (leaf->key_index_name != nullptr) leaf->key_index = relation_by_name(leaf->key_index_name);
        if (leaf->key_index_name != nullptr && !OidIsValid(leaf->key_index))
            return psprintf("index %s is not here", leaf->key_index_name);
        Relation relation = table_open(leaf->relation, AccessShareLock);
        const walk::Key key = walk::load_key(relation, job.source, leaf->key_index, job.wanted_key);
        const char *shape = walk::key_shape(key, job.owner);
        table_close(relation, AccessShareLock);
        if (strcmp(shape, leaf->shape) != 0)
            return psprintf("the walk relies on (%s) and finds here (%s)", leaf->shape, shape);
    }
    catalog::rebind_leaf(planned, *leaf);
    return nullptr;
}

const char *rebind_leaves(const catalog::Job &job, int64 planned) {
    ListCell *cell;
    foreach (cell, catalog::leaves_of(planned))
        if (const char *refusal = rebind_leaf(job, planned, static_cast<catalog::Leaf *>(lfirst(cell)))) return refusal;
    return nullptr;
}

// What a job saved before its walk comes with a copy of the files, but not with a dump.  One that has saved no keys yet
// does so where it is now.
const char *lost_rows(const catalog::Job &job) {
    catalog::WorkTable found;
    const bool keys = job::saves_keys(job);
    const bool query = strcmp(job.walk, "spool") == 0 || strcmp(job.walk, "stream") == 0;
    const bool lost = keys ? catalog::has_plan(job.job_id) && !catalog::find_work_table(job.job_id, &found)
                           : query && !OidIsValid(relation_by_name(job.source_name));
    if (!lost) return nullptr;
    if (strcmp(job.walk, "stream") == 0) return "its query was not dumped: submit it again";
    return psprintf("the %s that it had saved were not dumped: submit it again", keys ? "keys" : "rows");
}

const char *rebind_by_name(catalog::Job *job) {
    if (const char *lost = lost_rows(*job)) return lost;
    const char *missing = nullptr;
    job->relations = relations_by_name(job->relation_names, &missing);
    if (job->relations == nullptr) return psprintf("table %s is not here", missing);
    job->source = relation_by_name(job->source_name);
    job->target = job->target_name == nullptr ? InvalidOid : relation_by_name(job->target_name);
    const char *refusal = rebind_leaves(*job, job->job_id);
    // A job that drives rejects again takes the leaves of the job that holds them.
    if (refusal == nullptr && job->retry_of != 0) refusal = rebind_leaves(*job, job->retry_of);
    if (refusal != nullptr) return refusal;
    catalog::rebind(*job);
    return nullptr;
}

} // namespace

const char *moved_reason(catalog::Job *job) {
    const catalog::Home here = catalog::this_home();
    if (!same_database(job->home, here)) {
        const char *lost = lost_rows(*job);
        return psprintf("restored: this job comes from another database or server%s%s", lost == nullptr ? "" : "; ",
                        lost == nullptr ? "" : lost);
    }
    if (job->home.timeline == here.timeline) return nullptr;
    if (recovered_to_a_point()) return "restored: the server was recovered to a point in time";
    catalog::move_home(job->job_id, here);
    return nullptr;
}

const char *rebind_if_moved(catalog::Job *job) {
    const char *owner = GetUserNameFromId(job->owner, true);
    if (owner == nullptr) return psprintf("the owner, role \"%s\", does not exist", job->owner_name);
    const bool renamed = strcmp(owner, job->owner_name) != 0;
    job->owner_name = pstrdup(owner);
    if (same_database(job->home, catalog::this_home()) && !renamed) return nullptr;
    return rebind_by_name(job);
}

const char *rebind_target_if_moved(catalog::Job *job) {
    if (same_database(job->home, catalog::this_home())) return nullptr;
    job->target = relation_by_name(job->target_name);
    if (!OidIsValid(job->target)) return psprintf("table %s is not here", job->target_name);
    catalog::rebind_target(job->job_id, job->target);
    return nullptr;
}

} // namespace stride::queue
