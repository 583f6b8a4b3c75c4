/*
 * memory_resource.hpp: std::pmr over a PostgreSQL memory context.
 *
 * Regime: std.  Takes no lock.  Lack of memory and absurd sizes come as std::bad_alloc, never as a longjmp; the memory
 * comes back at the latest when the context is reset, even if a destructor was skipped.  The context must outlive the
 * containers that use it.
 */
#pragma once

#include <memory_resource>

#include "pg/pg.hpp"

namespace stride::bridge {

class memory_context_resource final : public std::pmr::memory_resource {
public:
    /* Allocates in `context`, which the caller keeps. */
    explicit memory_context_resource(MemoryContext context) noexcept : context_(context) {}

    MemoryContext context() const noexcept { return context_; }

private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void *pointer, std::size_t bytes, std::size_t alignment) noexcept override;
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override;

    MemoryContext context_;
};

} // namespace stride::bridge
