// The columns of its source that a transform_query reads.  Others are left out of the relation chunk, so that they may go,
// and nobody needs a right to them.
// Regime: pg.  Locks: none.
#pragma once

#include "pg/pg.hpp"

namespace stride::pipeline {

// `whole` is an analysed query whose WITH query chunk gives `columns` (List of char *) and is read in one place; returns
// those that are read there, in their order.
List *read_columns(Query *whole, List *columns);

} // namespace stride::pipeline
