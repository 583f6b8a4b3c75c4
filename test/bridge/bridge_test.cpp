/*
 * bridge_test.cpp: SQL functions that drive the bridge in both directions, right and wrong.
 *
 * Regime: both, as each function says.  Takes no lock.  Built with the witness on; never installed with pg_stride.
 */
#include <csignal>
#include <cstdint>
#include <memory_resource>
#include <new>
#include <stdexcept>
#include <vector>

#include "bridge/attempt.hpp"
#include "bridge/boundary.hpp"
#include "bridge/guarded.hpp"
#include "bridge/memory_resource.hpp"
#include "bridge/scope.hpp"
#include "pg/pg.hpp"

#define BRIDGE_FUNCTION(name)                                                                                          \
    extern "C" {                                                                                                       \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                                          \
    PG_FUNCTION_INFO_V1(name);                                                                                         \
    }                                                                                                                  \
    extern "C" Datum name([[maybe_unused]] PG_FUNCTION_ARGS)

extern "C" {
PG_MODULE_MAGIC;
}

using namespace stride::bridge;

namespace {

/* pg regime: an error with every field that the bridge must carry. */
void raise_full() {
    ereport(ERROR, errcode(ERRCODE_UNIQUE_VIOLATION), errmsg("message of error %d", 7), errdetail("Detail text."),
            errdetail_log("Detail for the log."), errhint("Hint text."), errcontext("context text"),
            err_generic_string(PG_DIAG_SCHEMA_NAME, "a_schema"), err_generic_string(PG_DIAG_TABLE_NAME, "a_table"),
            err_generic_string(PG_DIAG_COLUMN_NAME, "a_column"), err_generic_string(PG_DIAG_DATATYPE_NAME, "a_type"),
            err_generic_string(PG_DIAG_CONSTRAINT_NAME, "a_constraint"));
}

void run_sql(const char *sql) {
    SPI_connect();
    const int code = SPI_execute(sql, false, 0);
    if (code < 0) elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
    SPI_finish();
}

Size total_memory() {
    return MemoryContextMemAllocated(TopMemoryContext, true);
}

/* How many allocations of the process heap are in use; std exceptions and error blocks live there. */
int live_objects = 0;

struct Counted : private Witnessed {
    Counted() { live_objects++; }
    Counted(const Counted &) = delete;
    Counted &operator=(const Counted &) = delete;
    ~Counted() { live_objects--; }
};

} // namespace

/* PostgreSQL -> C++ -> PostgreSQL: the error goes through an exception and comes out whole. */
BRIDGE_FUNCTION(bridge_pass_full) {
    return boundary([]() -> Datum {
        Counted outside;
        guarded([] { raise_full(); });
        return Datum{0};
    });
}

/* The same for whatever SQL the caller gives. */
BRIDGE_FUNCTION(bridge_pass_sql) {
    const char *const sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
    return boundary([sql]() -> Datum {
        Counted outside;
        guarded([sql] { run_sql(sql); });
        return Datum{0};
    });
}

/* Two guards, one inside the other, with an exception that crosses the outer one. */
BRIDGE_FUNCTION(bridge_pass_nested) {
    return boundary([]() -> Datum {
        Counted outside;
        guarded([] { guarded([] { raise_full(); }); });
        return Datum{0};
    });
}

/* The result of a guard, and the fields of the exception as C++ sees them. */
BRIDGE_FUNCTION(bridge_inspect) {
    static char line[256];
    boundary([] {
        const int seven = guarded([] { return 7; });
        try {
            guarded([] { raise_full(); });
        } catch (const pg_error &error) {
            const pg_error copy(error);
            snprintf(line, sizeof(line), "%d|%s|%s|%s|%s|%s|%s|%d", seven, sqlstate_text(copy.sqlstate()).data(),
                     copy.what(), copy.data()->detail, copy.data()->hint, copy.data()->table_name,
                     copy.data()->constraint_name, may_be_swallowed(copy.sqlstate()) ? 1 : 0);
        }
    });
    PG_RETURN_TEXT_P(cstring_to_text(line));
}

BRIDGE_FUNCTION(bridge_throw_bad_alloc) {
    return boundary([]() -> Datum {
        Counted outside;
        throw std::bad_alloc();
    });
}

BRIDGE_FUNCTION(bridge_throw_std) {
    return boundary([]() -> Datum {
        Counted outside;
        throw std::runtime_error("words of the exception");
    });
}

BRIDGE_FUNCTION(bridge_throw_other) {
    return boundary([]() -> Datum {
        Counted outside;
        throw 42;
    });
}

/* An error that starts in C, in a boundary without a guard, goes past it as in C. */
BRIDGE_FUNCTION(bridge_plain_error) {
    return boundary([]() -> Datum {
        raise_full();
        return Datum{0};
    });
}

/*
 * attempt(): n failures swallowed by rolling back a subtransaction each.  Returns by how many bytes all memory
 * contexts have grown after the first tenth.
 */
BRIDGE_FUNCTION(bridge_attempt_memory) {
    const int rounds = PG_GETARG_INT32(0);
    const MemoryContext keep = AllocSetContextCreate(CurrentMemoryContext, "bridge test keep", ALLOCSET_DEFAULT_SIZES);
    Size base = 0;
    for (int i = 0; i < rounds; i++) {
        ErrorData *const error = attempt(keep, [] { raise_full(); });
        if (error == nullptr || error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION ||
            strcmp(error->constraint_name, "a_constraint") != 0)
            elog(ERROR, "attempt has lost the error");
        MemoryContextReset(keep);
        if (i == rounds / 10) base = total_memory();
    }
    const Size end = total_memory();
    MemoryContextDelete(keep);
    PG_RETURN_INT64(static_cast<int64>(end) - static_cast<int64>(base));
}

/* The same through pg_error, caught and dropped in C++; also says -1 if an object's destructor was skipped. */
BRIDGE_FUNCTION(bridge_guard_memory) {
    const int rounds = PG_GETARG_INT32(0);
    return boundary([rounds]() -> Datum {
        Size base = 0;
        for (int i = 0; i < rounds; i++) {
            Counted outside;
            try {
                guarded([] { raise_full(); });
            } catch (const pg_error &error) {
                if (error.sqlstate() != ERRCODE_UNIQUE_VIOLATION) throw;
            }
            if (i == rounds / 10) base = total_memory();
        }
        if (live_objects != 0) return Int64GetDatum(-1);
        return Int64GetDatum(static_cast<int64>(total_memory()) - static_cast<int64>(base));
    });
}

/* Bytes in all memory contexts and in the heap's use, for round trips made in SQL. */
BRIDGE_FUNCTION(bridge_memory) {
    PG_RETURN_INT64(static_cast<int64>(total_memory()));
}

/* What attempt() makes of each kind of failure: SQLSTATE and message. */
BRIDGE_FUNCTION(bridge_attempt) {
    const int kind = PG_GETARG_INT32(0);
    const ErrorData *const error = attempt(CurrentMemoryContext, [kind] {
        if (kind == 1) raise_full();
        if (kind == 2) throw std::bad_alloc();
        if (kind == 3) throw std::runtime_error("words of the exception");
        if (kind == 4) throw 42;
        if (kind == 5) guarded([] { raise_full(); });
    });
    if (error == nullptr) PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(psprintf("%s %s", sqlstate_text(error->sqlerrcode).data(), error->message)));
}

/* A wrong guard: an object inside the guarded function is jumped over by an error.  The witness must say so. */
BRIDGE_FUNCTION(bridge_wrong_guard) {
    return boundary([]() -> Datum {
        guarded([] {
            Counted inside;
            raise_full();
        });
        return Datum{0};
    });
}

/* No guard at all: the error jumps over an object to the session's handler.  The next boundary must say so. */
BRIDGE_FUNCTION(bridge_no_guard) {
    return boundary([]() -> Datum {
        Counted outside;
        raise_full();
        return Datum{0};
    });
}

/* An object made in a guard and left alive after it. */
BRIDGE_FUNCTION(bridge_left_alive) {
    return boundary([]() -> Datum {
        alignas(Counted) static unsigned char room[sizeof(Counted)];
        guarded([] { new (room) Counted(); });
        return Datum{0};
    });
}

/*
 * The resource, of a type that the optimizer cannot see: g++ 16 else guesses that it might be one of the library's own,
 * and warns of what that one would do with memory that is not its.
 */
[[gnu::noinline]] std::pmr::memory_resource *as_any_resource(std::pmr::memory_resource *resource) {
    return resource;
}

/* std::pmr over a memory context: an absurd size is bad_alloc (53200), not a longjmp over the vector. */
BRIDGE_FUNCTION(bridge_pmr_absurd) {
    return boundary([]() -> Datum {
        ScratchContext scratch;
        memory_context_resource resource(scratch.get());
        Counted outside;
        std::pmr::vector<char> vector(as_any_resource(&resource));
        vector.reserve(SIZE_MAX / 2 - 64);
        return Datum{0};
    });
}

/* Ordinary and over-aligned use of the resource; returns the sum of 0 .. n-1. */
BRIDGE_FUNCTION(bridge_pmr_sum) {
    const int n = PG_GETARG_INT32(0);
    return boundary([n]() -> Datum {
        struct alignas(64) Wide {
            int64 value;
        };
        ScratchContext scratch;
        CurrentContext current(scratch.get());
        memory_context_resource resource(scratch.get());
        std::pmr::vector<Wide> vector(as_any_resource(&resource));
        for (int i = 0; i < n; i++)
            vector.push_back(Wide{i});
        int64 sum = 0;
        for (const Wide &wide : vector) {
            if (reinterpret_cast<std::uintptr_t>(&wide) % 64 != 0) throw std::runtime_error("misaligned");
            sum += wide.value;
        }
        return Int64GetDatum(sum);
    });
}

/* A guard that lands while interrupts are held off: the count is as before, and zero once the error is raised again. */
BRIDGE_FUNCTION(bridge_holdoff) {
    const bool raise_again = PG_GETARG_BOOL(0);
    return boundary([raise_again]() -> Datum {
        HOLD_INTERRUPTS();
        try {
            guarded([] { raise_full(); });
        } catch (const pg_error &) {
            if (InterruptHoldoffCount != 1) throw std::runtime_error("the hold-off count was lost");
            if (raise_again) throw;
        }
        RESUME_INTERRUPTS();
        return BoolGetDatum(true);
    });
}

/* Waits under a guard until an interrupt comes; a cancel request must arrive as 57014. */
BRIDGE_FUNCTION(bridge_sleep) {
    return boundary([]() -> Datum {
        Counted outside;
        guarded([] {
            for (;;) {
                CHECK_FOR_INTERRUPTS();
                WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000L, PG_WAIT_EXTENSION);
                ResetLatch(MyLatch);
            }
        });
        return Datum{0};
    });
}

/* Crashes the server, as a bug in a C function does; for tests of what comes after. */
BRIDGE_FUNCTION(bridge_crash_if) {
    const bool crashes = PG_GETARG_BOOL(0);
    if (crashes) (void)kill(MyProcPid, SIGSEGV);
    return BoolGetDatum(crashes);
}
