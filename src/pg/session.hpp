// Pinned session state around work of our own: search_path, the settings that decide how values are written as text,
// and the switch to the extension owner for our fixed statements; and what the session has heard of others' changes.
// Regime: pg.  Each pin opens a GUC nest level; an error unwinds it with the transaction, as does the user id.
#pragma once

#include "pg/pg.hpp"

namespace stride::pg {

// Sets search_path = pg_catalog, pg_temp until unpin(); returns the GUC nest level.
int pin_search_path();

// Sets search_path as above, and DateStyle, IntervalStyle, extra_float_digits, TimeZone, bytea_output, lc_monetary and
// xmloption to fixed values, so that a key's text is the same in every session; returns the GUC nest level.
int pin_output_settings();

// Restores what the pin at `nest_level` changed.
void unpin(int nest_level);

// The switch of user for one fixed statement.  Between enter and leave the search_path is pinned and row_security is
// off.
struct OwnerSwitch {
    Oid user;
    int security_context;
    int nest_level;
    bool pushed_snapshot; // pg/fixed.hpp's
};
OwnerSwitch enter_extension_owner();
void leave_extension_owner(const OwnerSwitch &previous);

// Raises 25006 where nothing can be written: on a standby, with the hint to go to the primary, or in a read-only
// transaction.
void require_writable(const char *function);

// How many changes of tables, indexes and views of the database, and of who inherits from whom, the session has heard of,
// those that are committed by now among them; at least 1.  What is read of them after a call holds as long as later calls
// return the same.
uint64 table_changes();

// Oid of pg_extension's row for pg_stride in this database, InvalidOid if not installed; and its owner.
Oid extension_oid();
Oid extension_owner();

} // namespace stride::pg
