// TRUNCATE of a table that a job walks.
// Regime: pg.
#pragma once

namespace stride::api {

// Chains into object_access_hook; called once, when the library is preloaded.
void install_truncate_hook();

} // namespace stride::api
