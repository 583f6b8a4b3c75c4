/*
 * pg_error.hpp: a PostgreSQL ERROR as a C++ exception that carries the whole ErrorData.
 *
 * Regime: std, thrown by guarded() and turned back by boundary().  Takes no lock.  The data live in one malloc'd
 * block with a reference count, so that copies never fail and the destructor calls nothing of PostgreSQL.
 */
#pragma once

#include <array>
#include <exception>

#include "bridge/witness.hpp"
#include "pg/pg.hpp"

namespace stride::bridge {

struct ErrorBlock; /* one malloc'd copy of an ErrorData and its strings; error_data.cpp */

/*
 * Whether an error of this code may be swallowed at all, after its (sub)transaction was rolled back.  Cancels,
 * shutdowns, lack of resources and internal errors always go on upwards.  The caller still needs an allow-list.
 */
constexpr bool may_be_swallowed(int sqlstate) {
    return sqlstate != ERRCODE_QUERY_CANCELED && sqlstate != ERRCODE_ADMIN_SHUTDOWN &&
           sqlstate != ERRCODE_INTERNAL_ERROR && sqlstate != ERRCODE_DATA_CORRUPTED &&
           ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_INSUFFICIENT_RESOURCES;
}

/* The five characters of an encoded SQLSTATE and a NUL. */
constexpr std::array<char, 6> sqlstate_text(int sqlstate) {
    std::array<char, 6> text{};
    for (std::size_t i = 0; i < 5; i++) {
        text[i] = static_cast<char>((sqlstate & 0x3F) + '0');
        sqlstate >>= 6;
    }
    return text;
}

class pg_error final : public std::exception, private Witnessed {
public:
    /* Takes over one reference to the block, or none: nullptr stands for an error lost to lack of memory (53200). */
    explicit pg_error(ErrorBlock *block) noexcept;
    pg_error(const pg_error &other) noexcept;
    pg_error &operator=(const pg_error &) = delete;
    ~pg_error() override;

    /* The primary message, as long as this object lives. */
    const char *what() const noexcept override;

    /* The encoded SQLSTATE, as ERRCODE_... */
    int sqlstate() const noexcept;

    /* The whole error; the strings live as long as this object.  Never nullptr. */
    const ErrorData *data() const noexcept;

    /* A copy in one chunk of `context` (freed by one pfree or by reset), or nullptr when there is no memory. */
    ErrorData *copy(MemoryContext context) const noexcept;

private:
    ErrorBlock *block_;
};

} // namespace stride::bridge
