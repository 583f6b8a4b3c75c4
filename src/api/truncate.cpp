// TRUNCATE takes rows away for the chunks to come, as DELETE does; but it is for tables that are to be filled anew, and
// the new rows come under the old keys, behind a job's position and ahead of it.  Such a job would end early, or with a
// part of the new rows, and call it a success.  A chunk cannot tell it from a table that VACUUM FULL has rewritten, so
// the command itself is watched: in its own transaction, it leaves a failure to the jobs that have not walked all of
// the table.
// Regime: pg.  Runs in any backend, before TRUNCATE has its lock.  Inserts only, and waits for nobody.
#include "api/truncate.hpp"

#include "bridge/boundary.hpp"
#include "catalog/request.hpp"
#include "pg/session.hpp"

namespace stride::api {
namespace {

constinit object_access_hook_type previous_hook = nullptr;

} // namespace
} // namespace stride::api

extern "C" {

static void stride_object_access(ObjectAccessType access, Oid class_id, Oid object, int column, void *argument) {
    if (stride::api::previous_hook != nullptr) stride::api::previous_hook(access, class_id, object, column, argument);
    if (access != OAT_TRUNCATE || class_id != RelationRelationId) return;
    stride::bridge::boundary([&] {
        if (OidIsValid(stride::pg::extension_oid())) stride::catalog::append_truncation(object);
    });
}

} // extern "C"

namespace stride::api {

void install_truncate_hook() {
    previous_hook = object_access_hook;
    object_access_hook = stride_object_access;
}

} // namespace stride::api
