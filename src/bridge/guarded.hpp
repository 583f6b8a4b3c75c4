/*
 * guarded.hpp: from the std regime into PostgreSQL.
 *
 * Regime: called from std; what runs inside is pg.  Takes no lock.  guarded(f) runs f; an ERROR that f raises becomes
 * a pg_error exception that carries the whole ErrorData.  A guard is deeper than every RAII object that it protects,
 * and inside the lambda there is none; LWLocks, spinlocks, buffer pins and critical sections are taken and released
 * inside one lambda.  A guard does not roll anything back: whoever swallows the pg_error rolls back a
 * (sub)transaction.  Not to be called while PostgreSQL handles another error (a landing flushes the error stack).
 * It costs 4 to 9 ns; guard a step of a batch, not a row.
 */
#pragma once

#include <memory>
#include <type_traits>

#include "bridge/pg_error.hpp"

namespace stride::bridge {

/* Runs step(argument); returns the error that landed, nullptr if none did.  `landed` says which.  In guarded.cpp. */
struct Landing {
    bool landed;       /* an ERROR was raised */
    ErrorBlock *block; /* one reference to it; nullptr when it was lost to lack of memory */
};
Landing run_guarded(void (*step)(void *), void *argument);

/*
 * Runs f() and returns its result, which is void or trivially copyable.  Throws pg_error when f raises an ERROR;
 * C++ exceptions of f pass through.  At a landing CurrentMemoryContext, the error context stack, the handler stack and
 * the interrupt hold-off counts are as they were at entry.
 */
template <class F>
[[gnu::noinline]] auto guarded(F &&f) {
    using Function = std::remove_reference_t<F>;
    using Result = std::invoke_result_t<Function &>;
    static_assert(std::is_trivially_destructible_v<Function>, "a guarded function holds no RAII object");

    if constexpr (std::is_void_v<Result>) {
        const Landing landing = run_guarded([](void *argument) { (*static_cast<Function *>(argument))(); },
                                            const_cast<std::remove_const_t<Function> *>(std::addressof(f)));
        if (landing.landed) throw pg_error(landing.block);
    } else {
        static_assert(std::is_trivially_copyable_v<Result> && std::is_trivially_destructible_v<Result>,
                      "the result of a guarded function is trivially copyable");
        struct Call {
            Function *function;
            union {
                char nothing;
                Result result;
            };
        } call{std::addressof(f), {'\0'}};
        const Landing landing = run_guarded(
            [](void *argument) {
                auto *const inner = static_cast<Call *>(argument);
                std::construct_at(std::addressof(inner->result), (*inner->function)());
            },
            &call);
        if (landing.landed) throw pg_error(landing.block);
        return call.result;
    }
}

} // namespace stride::bridge
