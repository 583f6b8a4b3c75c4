// Session settings of the submitter.
// Regime: pg.  Runs no user code but the check hooks of settings.
#include "settings/session.hpp"

#include "settings/json_object.hpp"
#include "settings/settings.hpp"

namespace stride::settings {
namespace {

// What the result of a statement may depend on, and a session may set.
constexpr const char *always_captured[] = {"search_path",
                                           "TimeZone",
                                           "timezone_abbreviations",
                                           "DateStyle",
                                           "IntervalStyle",
                                           "extra_float_digits",
                                           "lc_monetary",
                                           "lc_numeric",
                                           "lc_time",
                                           "default_text_search_config",
                                           "bytea_output",
                                           "xmlbinary",
                                           "xmloption",
                                           "row_security"};

void capture(JsonObject *session, const char *name) {
    const char *value = GetConfigOption(name, true, false);
    if (value != nullptr) session->put_text(name, pstrdup(value));
}

// Custom settings of the session, and defaults of ours that the role or the database brought: the scheduler, too, is to
// see these.
bool is_session_custom(const config_generic *setting) {
    if (strchr(setting->name, '.') == nullptr) return false;
    return setting->source == PGC_S_SESSION || (setting->source >= PGC_S_DATABASE && is_default_of_job(setting->name));
}

} // namespace

Jsonb *capture_session() {
    JsonObject session;
    for (const char *name : always_captured)
        capture(&session, name);
#if PG_VERSION_NUM >= 160000
    int count;
    config_generic **settings = get_guc_variables(&count);
#else
    const int count = GetNumConfigOptions();
    config_generic **settings = get_guc_variables();
#endif
    for (int i = 0; i < count; i++)
        if (is_session_custom(settings[i])) capture(&session, settings[i]->name);
    return session.finish();
}

void replay_session(Jsonb *captured) {
    for_each_captured(captured, [](const char *name, const char *value) {
        SetConfigOption(name, value, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION);
    });
}

} // namespace stride::settings
