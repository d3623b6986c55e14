# `make help` lists the targets.  `make demo` and `make test` need nothing else first.
CC       ?= cc
PREFIX   ?= /usr/local
OPT      ?= -O2 -g
B        ?= build
WARN      = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion \
            -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wundef -Werror
CFLAGS   += -std=c11 $(OPT) $(WARN) -ffp-contract=off -pthread
CPPFLAGS += -I. -D_POSIX_C_SOURCE=200809L $(if $(AVX2),-DQUERN_AVX2) $(if $(AVX512),-DQUERN_AVX512) \
            $(if $(NEON),-DQUERN_NEON)
LDLIBS   += -ljansson -lpcre2-8 -lutf8proc $(HDF5_LIBS) -lnettle -llapacke -lopenblas -lm

# HDF5 lies where pkg-config says; its headers are not ours to be warned of.
HDF5_FLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags hdf5 2>/dev/null))
HDF5_LIBS  := $(or $(shell pkg-config --libs hdf5 2>/dev/null),-lhdf5)

FOLDERS = core quantize formats model calib eval
# AVX2, AVX-512 and NEON kernels are built where the compiler can; the program asks the machine at start.
AVX2_FLAGS    = -mavx2 -mf16c -mfma
AVX512_FLAGS  = $(AVX2_FLAGS) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
DOTPROD_FLAGS = -march=armv8.2-a+dotprod
AVX2   := $(shell echo | $(CC) $(AVX2_FLAGS) -x c -E - >/dev/null 2>&1 && echo yes)
AVX512 := $(shell echo | $(CC) $(AVX512_FLAGS) -x c -E - >/dev/null 2>&1 && echo yes)
NEON   := $(shell echo | $(CC) $(DOTPROD_FLAGS) -dM -x c -E - 2>/dev/null | grep -q __aarch64__ && echo yes)
ALL    := $(wildcard $(FOLDERS:%=%/*.c))
LIB    := $(filter-out $(if $(AVX2),,%_avx2.c) $(if $(AVX512),,%_avx512.c) \
          $(if $(NEON),,%_neon.c %_dotprod.c),$(ALL))
TOOLS  := $(wildcard tools/*.c)
# What the program's main file does not own, for the tests of tools/.
SHELL_PARTS := $(filter-out tools/main.c tools/cmd_%.c,$(TOOLS))
# Folders of tests: all, or those of UNITS="core quantize".
UNITS   = *
UNIT   := $(patsubst %.c,$(B)/%,$(wildcard $(UNITS:%=tests/%/test_*.c)))
HELPER := $(patsubst %.c,$(B)/%,$(filter-out $(wildcard tests/*/test_*.c tests/fuzz/*.c),$(wildcard tests/*/*.c)))
PYTHON  = $(B)/venv/bin/python
FUZZ   := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

$(B)/formats/calib_%.o: CPPFLAGS += $(HDF5_FLAGS)
$(B)/%_avx2.o: CFLAGS += $(AVX2_FLAGS)
$(B)/%_avx512.o: CFLAGS += $(AVX512_FLAGS)
$(B)/%_dotprod.o: CFLAGS += $(DOTPROD_FLAGS)

## all: build the library and the program quern
all: $(B)/libquern.a $(B)/quern

## setup: install what the build needs (apt-get; elsewhere prints the list)
setup:
	@tools/setup.sh build

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  cc $<'; $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/libquern.a: $(LIB:%.c=$(B)/%.o)
	@rm -f $@; echo '  ar $@'; $(AR) rcs $@ $^

$(B)/quern: $(TOOLS:%.c=$(B)/%.o) $(B)/libquern.a
	@echo '  ld $@'; $(CC) $(CFLAGS) $^ $(LDLIBS) -o $@

$(B)/tests/%: tests/%.c $(SHELL_PARTS:%.c=$(B)/%.o) $(B)/libquern.a
	@mkdir -p $(@D)
	@echo '  cc $<'; $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(filter %.c %.o %.a,$^) $(if $(findstring test_,$(@F)),-lcmocka) $(LDLIBS) -o $@

## demo: set up, build, then convert, quantize, verify and compare the example model
demo: setup
	@$(MAKE) --no-print-directory all
	@examples/demo.sh $(B)

## test: set up, then run all tests: units, command line, other people's tools as oracles
test: setup-tests
	@$(MAKE) --no-print-directory units cli oracles

setup-tests:
	@tools/setup.sh build tests

## units: the C tests alone
units: $(UNIT)
	CMOCKA_MESSAGE_OUTPUT=TAP prove -e '$(RUN)' $(UNIT)

## cli: the tests of the command line alone
cli: all $(HELPER)
	prove -e sh tests/cli/*.sh :: $(B)

## oracles: agreement with the gguf and safetensors packages and with stock llama.cpp
oracles: all $(HELPER) $(B)/venv/ready
	prove -e $(PYTHON) tests/oracle/test_*.py :: $(B)

$(B)/venv/ready: tests/oracle/requirements.txt
	python3 -m venv $(B)/venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# gcc follows variables through instrumented encoders for minutes; clang does not know the flag.
TRACK := $(shell $(CC) -Werror -fno-var-tracking -x c -c /dev/null -o /dev/null 2>/dev/null && echo -fno-var-tracking)

## asan: the C and command-line tests under AddressSanitizer and UBSan
asan:
	$(MAKE) B=build-asan OPT="-O1 -g $(TRACK) -fsanitize=address,undefined -fno-sanitize-recover=all" units cli

## tsan: the C tests under ThreadSanitizer
tsan:
	$(MAKE) B=build-tsan OPT="-O1 -g $(TRACK) -fsanitize=thread" units

## neon: the C tests, or those of UNITS="core quantize", on an emulated AArch64 (Debian)
ROOT = build-neon/root
neon:
	@tests/neon/root.sh $(ROOT)
	@tools/setup.sh build tests neon
	@PKG_CONFIG_SYSROOT_DIR=$(ROOT) PKG_CONFIG_LIBDIR=$(ROOT)/usr/lib/aarch64-linux-gnu/pkgconfig \
	  HARNESS_OPTIONS=j$$(nproc) \
	  $(MAKE) B=build-neon CC="aarch64-linux-gnu-gcc --sysroot=$(ROOT)" RUN="qemu-aarch64 -L $(ROOT)" units

## fuzz-NAME: fuzz one reader (gguf, safetensors, config, tokenizer, imatrix, tokenize, base_file, calib_store) for FUZZ_TIME seconds
FUZZ_TIME ?= 60
fuzz-%: setup-lint build-fuzz/%
	@mkdir -p build-fuzz/corpus-$*
	build-fuzz/$* -max_total_time=$(FUZZ_TIME) -timeout=10 -rss_limit_mb=4096 build-fuzz/corpus-$* tests/fuzz/corpus/$*

## replay: every fuzzer over its corpus in the tree, once
replay: setup-lint $(FUZZ:%=build-fuzz/%)
	@for f in $(FUZZ); do build-fuzz/$$f -runs=0 tests/fuzz/corpus/$$f >build-fuzz/$$f.log 2>&1 || \
	  { tail -n 40 build-fuzz/$$f.log; exit 1; }; echo "replay: $$f: $$(tail -n 1 build-fuzz/$$f.log)"; done

FUZZ_SANITIZE = address,undefined -fno-sanitize-recover=undefined
fuzz-library: setup-lint
	@$(MAKE) --no-print-directory B=build-fuzz CC=clang AVX2= AVX512= NEON= \
	  OPT="-O1 -g -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE)" build-fuzz/libquern.a

build-fuzz/%: tests/fuzz/fuzz_%.c fuzz-library
	@echo '  cc $<'; clang -I. -D_POSIX_C_SOURCE=200809L -std=c11 -g -O1 -fsanitize=fuzzer,$(FUZZ_SANITIZE) \
	  $(HDF5_FLAGS) -pthread $< build-fuzz/libquern.a $(LDLIBS) -o $@

## lint: layers, sizes, headers, format, cppcheck, clang-tidy
lint: setup-lint
	@tests/lint/lint.sh

setup-lint:
	@tools/setup.sh build lint

## format: lay out all sources as .clang-format says
format:
	clang-format -i $$(git ls-files '*.[ch]' | grep -v _table)

## bench: speed, memory and error beside stock llama.cpp's quantizer
bench: all $(HELPER) $(B)/venv-bench/ready
	$(B)/venv-bench/bin/python tests/bench/quantize_bench.py $(B)

$(B)/venv-bench/ready: tests/bench/requirements.txt
	python3 -m venv $(B)/venv-bench
	$(B)/venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

## install: program, library, headers and man pages under $(DESTDIR)$(PREFIX)
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(B)/quern $(DESTDIR)$(PREFIX)/bin/quern
	install -m 644 tools/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/lib $(FOLDERS:%=$(DESTDIR)$(PREFIX)/include/quern/%)
	install -m 644 $(B)/libquern.a $(DESTDIR)$(PREFIX)/lib/libquern.a
	for f in $(FOLDERS); do for h in $$f/*.h; do [ ! -e $$h ] || \
	  install -m 644 $$h $(DESTDIR)$(PREFIX)/include/quern/$$h || exit 1; done; done

## clean: remove everything that was built
clean:
	rm -rf build build-asan build-tsan build-fuzz build-neon

## help: this list
help:
	@sed -n 's/^## //p' Makefile | sort | awk -F': ' '{printf "  %-12s %s\n", $$1, $$2}'

.PHONY: all setup setup-tests setup-lint format fuzz-library demo test units cli oracles asan tsan neon replay lint bench install clean help
.DEFAULT_GOAL := all
.SECONDARY:
-include $(LIB:%.c=$(B)/%.d) $(TOOLS:%.c=$(B)/%.d) $(UNIT:%=%.d) $(HELPER:%=%.d)
