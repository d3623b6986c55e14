# `make help` lists the targets.
CC       ?= cc
OPT      ?= -O2 -g
WARN      = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion \
            -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wundef -Werror
CFLAGS   += -std=c11 $(OPT) $(WARN) -ffp-contract=off -pthread
CPPFLAGS += -I. -D_POSIX_C_SOURCE=200809L
LDLIBS   += -ljansson -lpcre2-8 -lm
B        ?= build

FOLDERS = core quantize formats model calib eval
# AVX2 kernels are built where the compiler can; the program asks the machine at start.
AVX2   := $(shell echo | $(CC) -mavx2 -mf16c -x c -E - >/dev/null 2>&1 && echo yes)
ALL    := $(wildcard $(FOLDERS:%=%/*.c))
LIB    := $(if $(AVX2),$(ALL),$(filter-out %_avx2.c,$(ALL)))
TOOLS  := $(wildcard tools/*.c)
TESTS  := $(patsubst %.c,$(B)/%,$(wildcard tests/*/test_*.c))
CPPFLAGS += $(if $(AVX2),-DQUERN_AVX2)

$(B)/%_avx2.o: CFLAGS += -mavx2 -mf16c

## all: build the library and the program quern
all: $(B)/libquern.a $(B)/quern

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/libquern.a: $(LIB:%.c=$(B)/%.o)
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/quern: $(TOOLS:%.c=$(B)/%.o) $(B)/libquern.a
	$(CC) $(CFLAGS) $^ $(LDLIBS) -o $@

$(B)/tests/%: tests/%.c $(B)/libquern.a
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $< $(B)/libquern.a -lcmocka $(LDLIBS) -o $@

## test: build and run all tests
test: $(TESTS)
	CMOCKA_MESSAGE_OUTPUT=TAP prove -e '' $(TESTS)

## help: this list
help:
	@sed -n 's/^## //p' Makefile | sort | awk -F': ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: all test help
.DEFAULT_GOAL := all
-include $(LIB:%.c=$(B)/%.d) $(TOOLS:%.c=$(B)/%.d) $(TESTS:%=%.d)
