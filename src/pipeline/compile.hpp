// From the arguments of a pipeline to the statement that does its work.
// Regime: pg.  Locks: AccessShareLock on source and target, kept to the end of the transaction.  May not execute
// anything of the user's.
#pragma once

#include "job/submission.hpp"
#include "pipeline/arguments.hpp"
#include "settings/settings.hpp"

namespace stride::pipeline {

// Compiles as the current user.  Raises 22004 and 22023 for arguments that are missing or do not go together, 42P01 for
// tables that are gone, 42601 for user SQL that is none, 42703 for columns that do not match, 42704 for an unknown
// transform, 42804 for one of other types, 0A000 for what cannot be done in chunks, and what open_source() raises.
// `common` is what every submission has.
job::Work compile(const Arguments &arguments, const job::Arguments &common, const settings::Settings &settings);

} // namespace stride::pipeline
