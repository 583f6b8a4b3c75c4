/*
 * scope.hpp: RAII guards for the std regime.
 *
 * Regime: std; never inside a guarded function.  Takes no lock.  Their destructors call nothing of PostgreSQL that may
 * raise, unless under a guard.  All are witnessed.
 */
#pragma once

#include <type_traits>
#include <utility>

#include "bridge/guarded.hpp"
#include "bridge/witness.hpp"

namespace stride::bridge {

/* Calls a noexcept function when the scope is left, unless dismissed. */
template <class F>
class OnExit : private Witnessed {
    static_assert(std::is_nothrow_invocable_v<F &>, "what runs on exit is noexcept");

public:
    explicit OnExit(F function) noexcept(std::is_nothrow_move_constructible_v<F>) : function_(std::move(function)) {}
    OnExit(const OnExit &) = delete;
    OnExit &operator=(const OnExit &) = delete;
    ~OnExit() {
        if (armed_) function_();
    }

    void dismiss() noexcept { armed_ = false; }

private:
    F function_;
    bool armed_ = true;
};

/* Makes `context` the current memory context for a scope. */
class CurrentContext : private Witnessed {
public:
    explicit CurrentContext(MemoryContext context) noexcept : outer_(MemoryContextSwitchTo(context)) {}
    CurrentContext(const CurrentContext &) = delete;
    CurrentContext &operator=(const CurrentContext &) = delete;
    ~CurrentContext() { MemoryContextSwitchTo(outer_); }

private:
    MemoryContext outer_;
};

/* A memory context that lives as long as the scope; a child of the current one. */
class ScratchContext : private Witnessed {
public:
    /* Throws pg_error (53200) when there is no memory. */
    ScratchContext()
        : context_(guarded([] {
              return AllocSetContextCreate(CurrentMemoryContext, "pg_stride scratch", ALLOCSET_DEFAULT_SIZES);
          })) {}
    ScratchContext(const ScratchContext &) = delete;
    ScratchContext &operator=(const ScratchContext &) = delete;
    ~ScratchContext() {
        guarded([this] { MemoryContextDelete(context_); });
    }

    MemoryContext get() const noexcept { return context_; }

private:
    MemoryContext context_;
};

} // namespace stride::bridge
