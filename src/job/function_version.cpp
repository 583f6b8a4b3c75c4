// The version of a transform's function.
// Regime: pg.
#include "job/function_version.hpp"

#include "catalog/transform.hpp"

namespace stride::job {

int64 function_version(Oid function) {
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) return -1;
    const TransactionId xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
    ReleaseSysCache(tuple);
    return static_cast<int64>(xmin);
}

void require_transform_version(const catalog::Job &job) {
    if (job.transform == nullptr) return;
    const int64 version = function_version(job.transform_oid);
    if (version == job.transform_version) return;
    const catalog::FunctionName function = catalog::function_name(job.transform);
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    version < 0 ? errmsg("the transform's function %s does not exist any more", function.signature)
                                : errmsg("the transform's function %s has been changed since the job got it",
                                         function.signature),
                    errdetail("The rows of the chunks that are committed went through it as it was."),
                    version < 0 ? errhint("Create it again, then resume the job.")
                                : errhint("Resume the job to go on with the function as it is now.")));
}

} // namespace stride::job
