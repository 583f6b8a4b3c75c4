// Includes every header of core/ and proves that PostgreSQL did not come with them, and that what the pg regime and
// shared memory take from them is trivial. Std regime.
#define BOOST_TEST_MODULE headers
#include <boost/test/included/unit_test.hpp>

#include <type_traits>

#include "core/backoff.hpp"
#include "core/chunk_sizer.hpp"
#include "core/error_policy.hpp"
#include "core/job_state.hpp"
#include "core/no_postgres.hpp"
#include "core/split_plan.hpp"

#ifdef POSTGRES_H
#error "a core header includes PostgreSQL"
#endif

BOOST_AUTO_TEST_CASE(core_types_fit_shared_memory) {
    BOOST_TEST(std::is_trivially_copyable_v<stride::core::ChunkSizer>);
    BOOST_TEST(std::is_trivially_copyable_v<stride::core::JobState>);
    BOOST_TEST(sizeof(stride::core::JobState) == 1U);
}
