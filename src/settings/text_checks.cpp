// What texts the settings take.
// Regime: pg.  Locks: none.
#include "core/pacing.hpp"

#include "settings/text_checks.hpp"

#include "bridge/attempt.hpp"

namespace stride::settings {

const char *check_standby_names(const char *text, const char **hint) {
    *hint = "Give application_names separated by commas, or \"*\" for all standbys.";
    List *names = NIL;
    if (!SplitIdentifierString(pstrdup(text), ',', &names)) return "it is no list of names";
    return names == NIL ? "it names no standby" : nullptr;
}

const char *check_time_window(const char *text, const char **hint) {
    *hint = "Give the hours as in \"22:00-06:00\".";
    if (text[0] == '\0' || core::parse_daily_window(text).has_value()) return nullptr;
    return "it is no window of the day that is open for a part of it";
}

const char *check_throttle_query(const char *text, const char **hint) {
    *hint = "Give one SELECT of one number, as in \"SELECT count(*) FROM pg_locks WHERE NOT granted\".";
    if (text[0] == '\0') return nullptr;
    List *statements = NIL;
    ErrorData *error = bridge::attempt(CurrentMemoryContext, [&] { statements = raw_parser(text, RAW_PARSE_DEFAULT); });
    if (error != nullptr) {
        if (!bridge::may_be_swallowed(error->sqlerrcode)) ReThrowError(error);
        return error->message;
    }
    if (list_length(statements) != 1) return "it is not one statement";
    return IsA(linitial_node(RawStmt, statements)->stmt, SelectStmt) ? nullptr : "it is no SELECT";
}

} // namespace stride::settings
