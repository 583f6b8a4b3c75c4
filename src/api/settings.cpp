// The rows of view stride.settings.
// Regime: pg.  Locks: none.
#include "bridge/boundary.hpp"
#include "settings/settings.hpp"

namespace stride::api {
namespace {

void list_settings(FunctionCallInfo fcinfo) {
    InitMaterializedSRF(fcinfo, 0);
    const ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (int i = 0; i < settings::settings_count(); i++) {
        const settings::SettingInfo info = settings::setting_info(i);
        const char *const texts[] = {info.name, info.type, info.initial, info.unit, info.description, info.current};
        Datum values[lengthof(texts)];
        bool nulls[lengthof(texts)];
        for (size_t column = 0; column < lengthof(texts); column++) {
            nulls[column] = texts[column] == nullptr;
            values[column] = nulls[column] ? Datum{0} : CStringGetTextDatum(texts[column]);
        }
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
}

} // namespace
} // namespace stride::api

extern "C" {

PG_FUNCTION_INFO_V1(stride_settings);
PGDLLEXPORT Datum stride_settings(PG_FUNCTION_ARGS) {
    return stride::bridge::boundary([&]() -> Datum {
        stride::api::list_settings(fcinfo);
        return Datum{0};
    });
}

} // extern "C"
