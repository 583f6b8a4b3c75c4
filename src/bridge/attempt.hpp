/*
 * attempt.hpp: a guard for loops of the pg regime, such as those of the worker and the scheduler.
 *
 * Regime: pg on both sides.  Takes no lock.  The caller aborts the (sub)transaction after a failure, before anything
 * else, and judges the error by its SQLSTATE; see may_be_swallowed() in pg_error.hpp.
 */
#pragma once

#include <exception>
#include <new>
#include <type_traits>

#include "bridge/error_data.hpp"
#include "bridge/guarded.hpp"

namespace stride::bridge {

/*
 * Runs f() and drops its result.  Returns nullptr on success, else the whole error, in one chunk of `keep` (or the
 * static "out of memory" error when `keep` could not take it: reset `keep`, never FreeErrorData() the result).
 * PostgreSQL's error state is flushed, CurrentMemoryContext and the hold-off counts are as at entry.  C++ exceptions
 * of f come back in the same way.  `keep` must outlive the transaction that the caller aborts.  Never throws and
 * never raises.
 */
template <class F>
[[nodiscard]] ErrorData *attempt(MemoryContext keep, F &&f) noexcept {
    using Function = std::remove_reference_t<F>;
    static_assert(std::is_trivially_destructible_v<Function>, "an attempted function holds no RAII object");
    using Result = std::invoke_result_t<Function &>;
    static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>);

    ErrorData *failure = nullptr;
    try {
        const Landing landing =
            run_guarded([](void *argument) { static_cast<void>((*static_cast<Function *>(argument))()); },
                        const_cast<std::remove_const_t<Function> *>(std::addressof(f)));
        if (!landing.landed) return nullptr;
        failure = copy_error(error_of(landing.block), keep);
        release_error(landing.block);
    } catch (const pg_error &error) {
        failure = error.copy(keep);
    } catch (const std::bad_alloc &) {
        failure = nullptr;
    } catch (const std::exception &error) {
        failure = describe_exception(error.what(), keep);
    } catch (...) {
        failure = describe_exception(nullptr, keep);
    }
    return failure == nullptr ? out_of_memory_error() : failure;
}

} // namespace stride::bridge
