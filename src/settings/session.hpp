// The submitter's session settings that a statement's meaning depends on: captured at submit, replayed in each worker.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::settings {

// An object {name: value}: search_path, the settings of value input and output, row_security, and every custom setting
// (a name with a dot) that was SET in this session.
Jsonb *capture_session();

// Sets them for the rest of this session; raises what SET would raise.
void replay_session(Jsonb *captured);

} // namespace stride::settings
