/*
 * error_data.hpp: how the bridge takes an ErrorData from PostgreSQL, keeps it and hands it back.
 *
 * Regime: pg, private to bridge/.  Takes no lock.  Nothing here may be called from other rooms.
 */
#pragma once

#include "bridge/pg_error.hpp"
#include "pg/pg.hpp"

namespace stride::bridge {

/*
 * Takes the error that has just landed off PostgreSQL's error stack, and flushes that stack.  Nothing stays in any
 * memory context.  Returns a block with one reference, or nullptr when
 * there was no memory.  Never raises.
 */
ErrorBlock *take_error() noexcept;

/* Gives one reference back; nullptr is allowed. */
void release_error(ErrorBlock *block) noexcept;

/* The error in the block, or "out of memory" (53200) for nullptr. */
const ErrorData *error_of(const ErrorBlock *block) noexcept;

/* Copies an error into one chunk of `context`; nullptr when there is no memory.  Never raises. */
ErrorData *copy_error(const ErrorData *error, MemoryContext context) noexcept;

/*
 * Makes an error of a C++ exception's words, in one chunk of `context`; nullptr when there is no memory.  `what` may
 * be nullptr for something that is no std::exception.
 */
ErrorData *describe_exception(const char *what, MemoryContext context) noexcept;

/* The error "out of memory", statically allocated: never to be freed or changed. */
ErrorData *out_of_memory_error() noexcept;

/* Raises the error as PostgreSQL's own, with nothing added; nullptr raises 53200.  Called with no C++ scope open. */
[[noreturn]] void raise_error(ErrorData *error);

} // namespace stride::bridge
