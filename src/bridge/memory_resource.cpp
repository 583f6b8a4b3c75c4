/*
 * memory_resource.cpp: allocation in a memory context without longjmp.
 *
 * Regime: std, calling PostgreSQL only in ways that cannot raise, or under a guard.  Takes no lock.
 */
#include <cstdint>
#include <cstring>
#include <new>

#include "bridge/guarded.hpp"
#include "bridge/memory_resource.hpp"

namespace stride::bridge {

/*
 * palloc aligns to MAXIMUM_ALIGNOF; for more, a larger chunk is taken and the start of it is stored right before the
 * address that is handed out.  The size is checked first, since PostgreSQL raises an error for an invalid one even
 * with MCXT_ALLOC_NO_OOM.
 */
void *memory_context_resource::do_allocate(std::size_t bytes, std::size_t alignment) {
    const bool padded = alignment > MAXIMUM_ALIGNOF;
    const std::size_t padding = padded ? alignment + sizeof(void *) : 0;
    if (bytes > MaxAllocHugeSize - padding) throw std::bad_alloc();
    void *const chunk = MemoryContextAllocExtended(context_, bytes + padding, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
    if (chunk == nullptr) throw std::bad_alloc();
    if (!padded) return chunk;
    const auto first = reinterpret_cast<std::uintptr_t>(chunk) + sizeof(void *);
    auto *const aligned = reinterpret_cast<char *>((first + alignment - 1) & ~(alignment - 1));
    std::memcpy(aligned - sizeof(void *), &chunk, sizeof(void *));
    return aligned;
}

/* Only a corrupted context makes pfree raise; the guard's exception then meets noexcept and stops the process. */
void memory_context_resource::do_deallocate(void *pointer, std::size_t, std::size_t alignment) noexcept {
    void *chunk = pointer;
    if (alignment > MAXIMUM_ALIGNOF) std::memcpy(&chunk, static_cast<char *>(pointer) - sizeof(void *), sizeof(void *));
    guarded([chunk] { pfree(chunk); });
}

bool memory_context_resource::do_is_equal(const std::pmr::memory_resource &other) const noexcept {
    const auto *const same = dynamic_cast<const memory_context_resource *>(&other);
    return same != nullptr && same->context_ == context_;
}

} // namespace stride::bridge
