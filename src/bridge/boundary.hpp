/*
 * boundary.hpp: from C into our code, and back with no C++ exception across the frame.
 *
 * Regime: called from C (SQL functions, worker mains, hooks, callbacks); f may be pg or std.  Takes no lock.  Every
 * entry from C is `extern "C"` and does nothing but `return boundary([&] { ... });` -- an exception is copied out of
 * its handler, all scopes are left, and only then the error is raised.  An ERROR raised in f itself goes past the
 * boundary as in C; f then holds no RAII object.
 */
#pragma once

#include <exception>
#include <new>
#include <type_traits>

#include "bridge/error_data.hpp"
#include "bridge/witness.hpp"

namespace stride::bridge {

/*
 * Runs f() and returns its result, which is void or trivially copyable.  pg_error is raised again as it was: SQLSTATE,
 * detail, hint, context and object names; bad_alloc as 53200; any other exception as XX000 with its text as detail.
 */
template <class F>
auto boundary(F &&f) {
    using Function = std::remove_reference_t<F>;
    using Result = std::invoke_result_t<Function &>;
    static_assert(std::is_trivially_destructible_v<Function>, "a boundary's function holds no RAII object");
    static_assert(std::is_void_v<Result> ||
                      (std::is_trivially_copyable_v<Result> && std::is_trivially_destructible_v<Result>),
                  "the result of a boundary is void or trivially copyable");

    witness_check_entry();
    ErrorData *failure = nullptr;
    try {
        return f();
    } catch (const pg_error &error) {
        failure = error.copy(ErrorContext);
    } catch (const std::bad_alloc &) {
        failure = nullptr;
    } catch (const std::exception &error) {
        failure = describe_exception(error.what(), ErrorContext);
    } catch (...) {
        failure = describe_exception(nullptr, ErrorContext);
    }
    raise_error(failure);
}

} // namespace stride::bridge
