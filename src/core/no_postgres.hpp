// The fence of the std regime. Every header of core/ includes this file last; it stops the compiler when postgres.h was
// seen before, be it because a core header pulled it in or because a file includes PostgreSQL ahead of core/. Files of
// the pg regime include core/ first and pg/pg.hpp last. It takes no locks, declares nothing and includes nothing.
//
// It is read once a translation unit, so that a core header reached through two rooms, the second time after
// PostgreSQL, does no harm. test/unit/headers.cpp proves that no core header brings postgres.h in.
#pragma once

#ifdef POSTGRES_H
#error "core/ is free of PostgreSQL: include core headers before pg/pg.hpp, and never PostgreSQL from core/"
#endif
