// The submitter's session settings that a statement's meaning depends on: captured at submit, replayed in each worker.
// Regime: pg.
#pragma once

#include "pg/pg.hpp"

namespace stride::settings {

// An object {name: value}: search_path, the settings of value input and output, row_security, and every custom setting
// (a name with a dot) that was SET in this session.
Jsonb *capture_session();

// Calls visit(name, value) for each of them, with palloc'd texts.
template <class Visit>
void for_each_captured(Jsonb *captured, Visit visit) {
    JsonbIterator *iterator = JsonbIteratorInit(&captured->root);
    JsonbValue name;
    JsonbValue value;
    JsonbIteratorToken token;
    while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE) {
        if (token != WJB_KEY) continue;
        (void)JsonbIteratorNext(&iterator, &value, true);
        visit(pnstrdup(name.val.string.val, static_cast<Size>(name.val.string.len)),
              pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len)));
    }
}

// Sets them for the rest of this session; raises what SET would raise.
void replay_session(Jsonb *captured);

} // namespace stride::settings
