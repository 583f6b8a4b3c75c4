// The daily window.
// Regime: pg.
#include "core/pacing.hpp"

#include "pace/window.hpp"

#include "pg/clock.hpp"

namespace stride::pace {

const char *outside_window(const char *time_window, pg_tz *zone) {
    const std::optional<core::DailyWindow> window = core::parse_daily_window(time_window);
    if (!window.has_value()) return nullptr;
    const pg_time_t now = timestamptz_to_time_t(pg::now());
    const struct pg_tm *local = pg_localtime(&now, zone);
    if (local == nullptr) return nullptr;
    const int second = core::second_of_day(now, static_cast<int>(local->tm_gmtoff));
    if (window->contains(second)) return nullptr;
    return psprintf("time_window: %02d:%02d in %s is outside %s", second / 3600, second / 60 % 60,
                    pg_get_timezone_name(zone), time_window);
}

pg_tz *zone_of(Jsonb *captured) {
    const JsonbValue *name = getKeyJsonValueFromContainer(&captured->root, "TimeZone", 8, nullptr);
    if (name == nullptr || name->type != jbvString) return session_timezone;
    pg_tz *zone = pg_tzset(pnstrdup(name->val.string.val, static_cast<Size>(name->val.string.len)));
    return zone == nullptr ? session_timezone : zone;
}

} // namespace stride::pace
