/*
 * error_data.cpp: copies of ErrorData in one flat block, and the two ways across the bridge that they take.
 *
 * Regime: pg; every function is short, holds only trivial locals, and raises nothing unless it says so.  Takes no
 * lock.  The strings of a source line (file, function, domain, message id) are interned: some minor releases copy them
 * in CopyErrorData() and some share them, so that they must stay valid for good, and be neither freed nor leaked.
 */
#include <cstdlib>
#include <cstring>

#include "bridge/error_data.hpp"

namespace stride::bridge {

struct ErrorBlock {
    int references;
    ErrorData error; /* its strings follow the struct in the same allocation */
};

namespace {

using StringField = char *ErrorData::*;

/* The fields that own their text. */
constexpr StringField string_fields[] = {
    &ErrorData::message,     &ErrorData::detail,        &ErrorData::detail_log,      &ErrorData::hint,
    &ErrorData::context,     &ErrorData::backtrace,     &ErrorData::schema_name,     &ErrorData::table_name,
    &ErrorData::column_name, &ErrorData::datatype_name, &ErrorData::constraint_name, &ErrorData::internalquery,
};

using ConstantField = const char *ErrorData::*;

/* The fields that belong to a line of source code. */
constexpr ConstantField constant_fields[] = {&ErrorData::filename, &ErrorData::funcname, &ErrorData::domain,
                                             &ErrorData::context_domain, &ErrorData::message_id};

/* Interned strings live as long as the process; there are as many as source lines that raise, and never above this. */
struct Interned {
    Interned *next; /* its text follows the struct */
};
constexpr int interned_limit = 4096;
constexpr std::size_t interned_buckets = 64;
constinit Interned *interned[interned_buckets] = {};
constinit int interned_count = 0;

/* The permanent copy of a string; nullptr, which PostgreSQL allows in these fields, when there is no room. */
const char *intern(const char *text) noexcept {
    std::size_t hash = 0;
    for (const char *at = text; *at != '\0'; at++)
        hash = hash * 31 + static_cast<unsigned char>(*at);
    Interned **const bucket = &interned[hash % interned_buckets];
    for (Interned *entry = *bucket; entry != nullptr; entry = entry->next)
        if (std::strcmp(reinterpret_cast<char *>(entry + 1), text) == 0) return reinterpret_cast<char *>(entry + 1);
    const std::size_t bytes = std::strlen(text) + 1;
    auto *const entry =
        interned_count >= interned_limit ? nullptr : static_cast<Interned *>(std::malloc(sizeof(Interned) + bytes));
    if (entry == nullptr) return nullptr;
    std::memcpy(entry + 1, text, bytes);
    entry->next = *bucket;
    *bucket = entry;
    interned_count++;
    return reinterpret_cast<char *>(entry + 1);
}

std::size_t text_bytes(const ErrorData &error) noexcept {
    std::size_t bytes = 0;
    for (StringField field : string_fields)
        if (error.*field != nullptr) bytes += std::strlen(error.*field) + 1;
    return bytes;
}

/* Copies the struct to `to` and its strings to `text`, which has text_bytes() bytes of room. */
void copy_flat(const ErrorData &from, ErrorData *to, char *text) noexcept {
    *to = from;
    to->assoc_context = nullptr;
    for (StringField field : string_fields) {
        if (from.*field == nullptr) continue;
        const std::size_t bytes = std::strlen(from.*field) + 1;
        std::memcpy(text, from.*field, bytes);
        to->*field = text;
        text += bytes;
    }
}

ErrorBlock *to_block(const ErrorData &error) noexcept {
    auto *block = static_cast<ErrorBlock *>(std::malloc(sizeof(ErrorBlock) + text_bytes(error)));
    if (block == nullptr) return nullptr;
    block->references = 1;
    copy_flat(error, &block->error, reinterpret_cast<char *>(block + 1));
    for (ConstantField field : constant_fields)
        if (block->error.*field != nullptr) block->error.*field = intern(block->error.*field);
    return block;
}

ErrorData plain_error(int sqlstate, char *message) noexcept {
    ErrorData error{};
    error.elevel = ERROR;
    error.output_to_server = true;
    error.output_to_client = true;
    error.sqlerrcode = sqlstate;
    error.message = message;
    return error;
}

/* Never written after the static initialisation; PostgreSQL's interfaces ask for pointers to non-const. */
char out_of_memory_message[] = "out of memory";
constinit ErrorData out_of_memory{};

/* Where an error is copied on landing, emptied each time; made at the first landing, a child of TopMemoryContext. */
constinit MemoryContext landing_context = nullptr;

} // namespace

ErrorData *out_of_memory_error() noexcept {
    out_of_memory = plain_error(ERRCODE_OUT_OF_MEMORY, out_of_memory_message);
    return &out_of_memory;
}

/*
 * CopyErrorData() allocates and so may itself raise "out of memory"; that second error lands here, and both are
 * dropped for the static one.
 */
[[gnu::noinline]] ErrorBlock *take_error() noexcept {
    sigjmp_buf here;
    sigjmp_buf *const outer_handler = PG_exception_stack;
    ErrorContextCallback *const outer_context = error_context_stack;
    const MemoryContext memory = CurrentMemoryContext;
    ErrorBlock *volatile block = nullptr;

    if (sigsetjmp(here, 0) == 0) {
        PG_exception_stack = &here;
        error_context_stack = nullptr;
        if (landing_context == nullptr)
            landing_context = AllocSetContextCreate(TopMemoryContext, "pg_stride landing", ALLOCSET_SMALL_SIZES);
        MemoryContextSwitchTo(landing_context);
        block = to_block(*CopyErrorData());
    }
    MemoryContextSwitchTo(memory);
    FlushErrorState();
    if (landing_context != nullptr) MemoryContextReset(landing_context);
    PG_exception_stack = outer_handler;
    error_context_stack = outer_context;
    return block;
}

void release_error(ErrorBlock *block) noexcept {
    if (block != nullptr && --block->references == 0) std::free(block);
}

const ErrorData *error_of(const ErrorBlock *block) noexcept {
    return block == nullptr ? out_of_memory_error() : &block->error;
}

ErrorData *copy_error(const ErrorData *error, MemoryContext context) noexcept {
    void *const chunk = MemoryContextAllocExtended(context, sizeof(ErrorData) + text_bytes(*error),
                                                   MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
    if (chunk == nullptr) return nullptr;
    auto *const copy = static_cast<ErrorData *>(chunk);
    copy_flat(*error, copy, reinterpret_cast<char *>(copy + 1));
    return copy;
}

ErrorData *describe_exception(const char *what, MemoryContext context) noexcept {
    char message[] = "unexpected C++ exception";
    char unknown[] = "The exception is not a std::exception.";
    char hint[] = "This is a bug in pg_stride; report it with the server log around this time.";
    ErrorData error = plain_error(ERRCODE_INTERNAL_ERROR, message);
    error.detail = what == nullptr ? unknown : const_cast<char *>(what);
    error.hint = hint;
    return copy_error(&error, context);
}

/*
 * As errfinish() does before it jumps, the hold-off counts go to zero: whatever held interrupts off has been left,
 * and the handler that is reached counts from there.  ReThrowError() by itself would leave a backend uncancellable.
 */
void raise_error(ErrorData *error) {
    InterruptHoldoffCount = 0;
    QueryCancelHoldoffCount = 0;
    if (error == nullptr) ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"));
    ReThrowError(error);
}

pg_error::pg_error(ErrorBlock *block) noexcept : block_(block) {}

pg_error::pg_error(const pg_error &other) noexcept : std::exception(other), Witnessed(other), block_(other.block_) {
    if (block_ != nullptr) block_->references++;
}

pg_error::~pg_error() {
    release_error(block_);
}

const char *pg_error::what() const noexcept {
    const char *const message = data()->message;
    return message == nullptr ? "missing error text" : message;
}

int pg_error::sqlstate() const noexcept {
    return data()->sqlerrcode;
}

const ErrorData *pg_error::data() const noexcept {
    return error_of(block_);
}

ErrorData *pg_error::copy(MemoryContext context) const noexcept {
    return copy_error(data(), context);
}

} // namespace stride::bridge
