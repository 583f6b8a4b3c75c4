# Compiler flags shared by every module of the house.  Set PG_CONFIG, STRIDE_SRC and STRIDE_DEFINES before including
# this; include PGXS after it and then override COMPILER, for PGXS links with the C compiler.

# PGXS's bitcode step ignores PG_CXXFLAGS and fails on C++20.
override with_llvm := no

STRIDE_INCLUDEDIR_SERVER := $(shell $(PG_CONFIG) --includedir-server)
ifeq ($(STRIDE_INCLUDEDIR_SERVER),)
$(error $(PG_CONFIG) does not run: install the server headers or set PG_CONFIG=)
endif

# The server's headers come as system headers, so that our warnings are about our code.
PG_CPPFLAGS += -isystem $(STRIDE_INCLUDEDIR_SERVER) -I$(STRIDE_SRC) $(STRIDE_DEFINES)
PG_CXXFLAGS += -std=c++20 -Wall -Wextra -Wshadow -Wconversion -Wnon-virtual-dtor -Werror \
	-fvisibility=hidden -fno-strict-aliasing -fwrapv -MMD -MP
ifneq ($(findstring clang,$(CXX)),)
# HOLD_INTERRUPTS() counts a volatile; g++ knows the macro for the server's own, clang does not.
PG_CXXFLAGS += -Wno-unknown-warning-option -Wno-deprecated-volatile
endif
# SANITIZE=address: the server that loads the module needs the runtime loaded first (scripts/lib/asan.sh).
ifneq ($(SANITIZE),)
PG_CXXFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -O1
SHLIB_LINK += -fsanitize=$(SANITIZE)
endif
EXTRA_CLEAN += $(OBJS:.o=.d)
