# pg_stride: `make`, `make install`, `make installcheck`, with PG_CONFIG= for another version.
#   make DEVEL=1    compiles the witness counters and the test points in; `make installcheck` expects such a build
#   make unit       builds and runs test/unit/, without a server
# The server that installcheck talks to needs shared_preload_libraries = 'pg_stride'.

EXTENSION = pg_stride
EXTVERSION = 0.1.0
MODULE_big = pg_stride
PGFILEDESC = "pg_stride - batch work where the data lives"

STRIDE_ROOMS_CPP = $(wildcard src/*.cpp src/*/*.cpp)
OBJS = $(STRIDE_ROOMS_CPP:.cpp=.o)
DATA = $(wildcard sql/pg_stride--*--*.sql)
DATA_built = sql/pg_stride--$(EXTVERSION).sql

# Tests.  The inputs are sql/NN_topic.sql, test/isolation/specs/*.spec and test/t/*.pl.
REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/[0-9]*_*.sql)))
ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --load-extension=pg_stride --inputdir=test/isolation --outputdir=output_iso
PROVE_TESTS = $(sort $(wildcard test/t/*.pl))
PROVE_FLAGS = -I $(CURDIR)/test/lib
ifneq ($(PROVE_TESTS),)
TAP_TESTS = 1
endif
ifeq ($(ISOLATION),)
override undefine ISOLATION
endif
ifeq ($(REGRESS),)
override undefine REGRESS
endif

UNIT_DIR = test/unit/build
UNIT_TESTS = $(patsubst test/unit/%.cpp,$(UNIT_DIR)/%,$(wildcard test/unit/*.cpp))
UNIT_CORE = $(patsubst src/core/%.cpp,$(UNIT_DIR)/core_%.o,$(wildcard src/core/*.cpp))

PG_CONFIG ?= pg_config
STRIDE_SRC = src
ifneq ($(filter-out 0 no,$(DEVEL)),)
STRIDE_DEFINES = -DSTRIDE_DEVEL
endif
include stride-flags.mk

STAMP = .stride-flags
EXTRA_CLEAN += $(STAMP) $(UNIT_DIR) results/ output_iso/ tmp_check/ regression.diffs regression.out log/

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
override COMPILER = $(CXX) $(CXXFLAGS)

# Objects of one kind of build are never linked into another: the stamp holds the kind and changes with it.
STAMP_NOW := $(CXX) $(STRIDE_DEFINES) $(SANITIZE) $(shell $(PG_CONFIG) --version)
ifeq ($(filter clean distclean,$(MAKECMDGOALS)),)
STAMP_SEEN := $(shell cat $(STAMP) 2>/dev/null)
ifneq ($(strip $(STAMP_NOW)),$(strip $(STAMP_SEEN)))
STAMP_WRITTEN := $(shell printf '%s\n' '$(strip $(STAMP_NOW))' > $(STAMP))
endif
endif
$(STAMP): ;
$(OBJS): $(STAMP) Makefile stride-flags.mk

$(shlib): $(STAMP)

$(DATA_built): sql/pg_stride.sql
	cp $< $@

# Unit tests: one program a file, of core/ only, named by BOOST_TEST_MODULE.  Each includes Boost.Test's header-only
# variant; a header of that name, found first, leaves its implementation to one object, compiled once instead of each time.
UNIT_FLAGS = -std=c++20 -g -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Werror -I$(UNIT_DIR)/shim -Isrc -MMD -MP
UNIT_RUN_FLAGS = --report_level=short --log_level=warning
UNIT_SHIM = $(UNIT_DIR)/shim/boost/test/included/unit_test.hpp
UNIT_MAIN = $(UNIT_DIR)/boost_test_main.o

.PHONY: unit unit-build
unit-build: $(UNIT_TESTS)
unit: unit-build
	@failed=0; for t in $(UNIT_TESTS); do echo "# unit $${t##*/}"; $$t $(UNIT_RUN_FLAGS) || failed=1; done; exit $$failed

$(UNIT_SHIM):
	mkdir -p $(@D)
	printf '#include <boost/test/unit_test.hpp>\n' > $@
$(UNIT_MAIN): | $(UNIT_SHIM)
	printf '#include <boost/test/included/unit_test.hpp>\n' | $(CXX) -std=c++20 -x c++ -c -o $@ -
$(UNIT_DIR)/core_%.o: src/core/%.cpp | $(UNIT_SHIM)
	$(CXX) $(UNIT_FLAGS) -c -o $@ $<
$(UNIT_DIR)/%: test/unit/%.cpp $(UNIT_CORE) $(UNIT_MAIN) | $(UNIT_SHIM)
	$(CXX) $(UNIT_FLAGS) -MF $@.d -o $@ $< $(UNIT_CORE) $(UNIT_MAIN)

-include $(OBJS:.o=.d) $(wildcard $(UNIT_DIR)/*.d)
