# SPDX-License-Identifier: BSD-2-Clause
#
# make            the program, at ./tlswhy
# make help       everything else

BUILD := .output
VERSION := 0.1.0

CC ?= cc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')

ifeq ($(V),1)
  Q :=
  say := @:
else
  Q := @
  say = @printf '  %-8s %s\n' '$(1)' '$(patsubst $(BUILD)/%,%,$(2))'
endif

# SAN=address,undefined builds everything of user space with these sanitizers, beside the usual build.
ifdef SAN
  BUILD := $(BUILD)/san
  SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
  PROGRAM := $(BUILD)/tlswhy
else
  PROGRAM := tlswhy
endif
ifdef WERROR
  WERRORFLAG := -Werror
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-sign-compare
CFLAGS ?= -O2 -g
CPPFLAGS := -D_GNU_SOURCE -DTLSWHY_VERSION='"$(VERSION)"' -I. -Iuser -I.output
USERFLAGS := -std=gnu17 $(CFLAGS) $(WARNINGS) $(WERRORFLAG) $(SANFLAGS) -MMD -MP $(CPPFLAGS)
LIBS_PURE := -lssl -lcrypto
LIBS_OUTPUT := $(shell $(PKG_CONFIG) --libs yajl 2>/dev/null || echo -lyajl)
LIBS := -lbpf -ldw -lelf -lz $(LIBS_OUTPUT) $(LIBS_PURE) -lseccomp -lpthread

# Rooms that know neither libbpf nor sockets nor clocks: unit tests and fuzzers link these alone.
PURE_ROOMS := base tls join diagnose record options
OUTPUT_ROOMS := output
SYSTEM_ROOMS := trace command

objects = $(patsubst %.c,$(BUILD)/%.o,$(foreach room,$(1),$(sort $(wildcard user/$(room)/*.c))))
PURE_OBJECTS := $(call objects,$(PURE_ROOMS))
OUTPUT_OBJECTS := $(call objects,$(OUTPUT_ROOMS))
SYSTEM_OBJECTS := $(call objects,$(SYSTEM_ROOMS)) $(BUILD)/user/main.o

# Files that own a map come first: libbpf 1.1's linker gives a map the wrong offset in .maps where an
# extern declaration of it was linked before its definition.
BPF_OWNERS := bpf/ring.bpf.c bpf/process.bpf.c bpf/socket.bpf.c
BPF_SOURCES := $(BPF_OWNERS) $(filter-out $(BPF_OWNERS),$(sort $(wildcard bpf/*.bpf.c)))
BPF_OBJECTS := $(patsubst %.bpf.c,.output/%.bpf.o,$(BPF_SOURCES))
SKELETON := .output/tlswhy.skel.h

UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/unit/test_*.c tests/golden/test_*.c)))
LIVE_TESTS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/live/test_*.c)))
LIVE_HELPERS := $(patsubst %.c,$(BUILD)/%.o,$(sort $(filter-out tests/live/test_%,$(wildcard tests/live/*.c))))
FUZZERS := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all
all: $(PROGRAM) ## build ./tlswhy (the default)

$(PROGRAM): $(PURE_OBJECTS) $(OUTPUT_OBJECTS) $(SYSTEM_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ $(LIBS)

# ---- BPF -------------------------------------------------------------------------------------

.output/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter $(WERRORFLAG) \
		-D__TARGET_ARCH_$(ARCH) -Ivmlinux -I. -MMD -MP -c $< -o $@

.output/tlswhy.bpf.o: $(BPF_OBJECTS)
	$(call say,GENOBJ,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKELETON): .output/tlswhy.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name tlswhy > $@.tmp && mv $@.tmp $@

# Only the trace room includes the skeleton.
$(call objects,trace): | $(SKELETON)

# ---- user space ------------------------------------------------------------------------------

$(BUILD)/user/%.o: user/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USERFLAGS) -c $< -o $@

$(BUILD)/tests/%.o: tests/%.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(USERFLAGS) -Itests -c $< -o $@

# No -lbpf: that a test of a pure room links is the proof that the room is pure.
$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(PURE_OBJECTS) $(OUTPUT_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lcriterion $(LIBS_OUTPUT) $(LIBS_PURE)

$(BUILD)/tests/golden/test_%: $(BUILD)/tests/golden/test_%.o $(PURE_OBJECTS) $(OUTPUT_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lcriterion $(LIBS_OUTPUT) $(LIBS_PURE)

# The trace room's own parts that need no BPF (ELF, /proc, instructions).
SYSTEM_TEST_OBJECTS := $(filter-out $(BUILD)/user/main.o,$(SYSTEM_OBJECTS))
$(BUILD)/tests/live/test_%: $(BUILD)/tests/live/test_%.o $(LIVE_HELPERS) $(PURE_OBJECTS) $(OUTPUT_OBJECTS) $(SYSTEM_TEST_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lcriterion $(LIBS)

# ---- fuzzing: libFuzzer with ASan and UBSan, pure rooms alone ------------------------------------

FUZZ_BUILD := .output/fuzz
FUZZ_SECONDS ?= 60
FUZZFLAGS := -std=gnu17 -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all \
	-fno-omit-frame-pointer $(CPPFLAGS) -Itests -MMD -MP
FUZZ_BINARIES := $(patsubst tests/fuzz/%.c,$(FUZZ_BUILD)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_OBJECTS := $(patsubst user/%.c,$(FUZZ_BUILD)/user/%.o,$(foreach room,$(PURE_ROOMS) $(OUTPUT_ROOMS),$(sort $(wildcard user/$(room)/*.c))))

$(FUZZ_BUILD)/user/%.o: user/%.c
	$(call say,FUZZCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZFLAGS) -c $< -o $@

$(FUZZ_BUILD)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_OBJECTS)
	$(call say,FUZZLD,$@)
	$(Q)$(CLANG) $(FUZZFLAGS) -fsanitize=fuzzer -o $@ $(filter %.c %.o,$^) $(LIBS_OUTPUT) $(LIBS_PURE)

.PHONY: fuzz-build fuzz-short fuzz
fuzz-build: $(FUZZ_BINARIES)
fuzz-short: fuzz-build ## every fuzzer for FUZZ_SECONDS (60) each
	$(Q)scripts/fuzz.sh $(FUZZ_BUILD) $(FUZZ_SECONDS)
fuzz: fuzz-build ## every fuzzer for an hour each
	$(Q)scripts/fuzz.sh $(FUZZ_BUILD) 3600

# ---- bench: the load, its meter and the floor under every tracer ---------------------------------

BENCH_BUILD := $(BUILD)/tests/bench
BENCH_PROGRAMS := $(BENCH_BUILD)/tlsload $(BENCH_BUILD)/floor

$(BENCH_BUILD)/tlsload: $(addprefix $(BENCH_BUILD)/,tlsload.o handshakes.o requests.o meter.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lssl -lcrypto -lbpf

$(BENCH_BUILD)/floor: $(addprefix $(BENCH_BUILD)/,floor.o symbol.o)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(SANFLAGS) -o $@ $^ -lbpf -lelf

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS)

# ---- checks ------------------------------------------------------------------------------------

.PHONY: test test-build unit live
test-build: $(PROGRAM) $(UNIT_TESTS) $(LIVE_TESTS)
test: deps ## everything: unit, golden and live tests (root); installs what is missing
	$(Q)$(MAKE) --no-print-directory test-build
	$(Q)scripts/test.sh $(UNIT_TESTS) $(LIVE_TESTS)
unit: $(UNIT_TESTS) ## unit and golden tests, without root
	$(Q)scripts/test.sh $(UNIT_TESTS)
live: $(PROGRAM) $(LIVE_TESTS) ## tests against a real nginx (root)
	$(Q)scripts/test.sh $(LIVE_TESTS)

.PHONY: deps demo bench lint
deps: ## install the Debian packages that the build and the tests need
	$(Q)scripts/deps.sh
demo: deps ## a demonstration on a private nginx on loopback
	$(Q)$(MAKE) --no-print-directory all
	$(Q)scripts/demo.sh
bench: deps ## what tracing costs, in one paired run
	$(Q)$(MAKE) --no-print-directory all bench-programs
	$(Q)scripts/bench.sh
lint: ## cppcheck over user space
	$(Q)cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingInclude --library=tests/cppcheck.cfg --error-exitcode=1 -Iuser -I. user

.PHONY: clean help
clean: ## remove what was built
	$(Q)rm -rf .output tlswhy
help: ## this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find .output -name '*.d' 2>/dev/null)
