// What texts the settings take; see TextCheck in settings/table.hpp.
// Regime: pg.  Locks: none.  Raise nothing that a text can cause, so that they may be used where GUCs are set.
#pragma once

namespace stride::settings {

const char *check_standby_names(const char *text, const char **hint);
const char *check_time_window(const char *text, const char **hint);    // "" = none
const char *check_throttle_query(const char *text, const char **hint); // "" = none

} // namespace stride::settings
