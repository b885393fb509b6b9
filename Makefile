# talkoot's law: what is built from what, and who may use whom.
#
#	common is three archives, each standing only on the ones before it:
#	  ground (libc)  <  data (OpenSSL, jansson)  <  io (libevent, libcurl)
#	jobs/job*.c with glob.c ("what a job is") stand on data. coordinator, worker and the CLI
#	stand on all of that and never on each other. sandbox stands on libc
#	alone; libseccomp only builds its filter. image stands on ground and libarchive. Each program's link line
#	names what it may use, so an upward call does not link; `make layers` links the lower tiers alone.
#
# `make CC=aarch64-linux-gnu-gcc BUILD_CC=cc` builds for another machine than this.
# Variants: `make SAN=1` builds the same into build/asan with ASan and UBSan; `make V=1` shows commands.

VERSION := 0.1.0
CC ?= cc
BUILD_CC ?= $(CC)
PREFIX ?= /usr/local
DESTDIR ?=
B := $(if $(SAN),build/asan,build)
BIN := $(B)/bin

CPUS := $(shell nproc 2>/dev/null || echo 1)
Q := $(if $(V),,@)
SAY := $(if $(V),:,echo)
SHOW := $(if $(V),set -x;)

# --- flags -----------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wvla -Wformat=2 -Wundef -Wwrite-strings \
	-Wimplicit-fallthrough -Wnull-dereference
WERROR ?=
OPT ?= -O2 -g
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE -D_FORTIFY_SOURCE=2
HARDEN_LD := -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed
ifdef SAN
OPT := -O1 -g
HARDEN := -fPIE -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
HARDEN_LD := -pie -fsanitize=address,undefined
endif
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE -DTALKOOT_VERSION='"$(VERSION)"' -I. $(OPT) $(WARN) $(WERROR) \
	$(HARDEN) -MMD -MP $(CFLAGS)
LDFLAGS_ALL = $(HARDEN_LD) $(LDFLAGS)

# --- the house -------------------------------------------------------------------------------
GROUND := $(addprefix common/,base.c err.c log.c buf.c clock.c)
IO := $(addprefix common/,loop.c problem.c httpd.c httpd_conn.c httpd_peer.c httpd_guard.c \
	httpd_route.c httpd_answer.c httpd_tunnel.c range.c fetch.c tus.c tus_serve.c dialback.c)
DATA := $(filter-out $(GROUND) $(IO),$(wildcard common/*.c))
JOB := $(addprefix jobs/,job.c job_task.c job_more.c job_inputs.c job_compare.c job_words.c compare.c comparator.c glob.c)
JOBS := $(filter-out $(JOB) jobs/main.c,$(wildcard jobs/*.c))
COORDINATOR := $(filter-out coordinator/main.c,$(wildcard coordinator/*.c))
WORKER := $(filter-out worker/main.c,$(wildcard worker/*.c))
IMAGE := $(filter-out image/main.c,$(wildcard image/*.c))
SANDBOX := $(filter-out sandbox/main.c sandbox/filter_gen.c,$(wildcard sandbox/*.c))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
lib = $(B)/lib/lib$(1).a

# What each tier may use of the world. Only named here.
USE_DATA := -lcrypto -lssl -ljansson
USE_SERVE := -levent_core -levent_extra -levent_openssl
USE_FETCH := -lcurl
USE_STORE := -lsqlite3
USE_GATEWAY := -lminiupnpc -lnatpmp
USE_FILTER := -lseccomp
USE_ARCHIVE := -larchive -lz -lzstd -llzma -lbz2

PROGRAMS := talkoot talkoot-coordinator talkoot-worker talkoot-sandbox talkoot-image
EXAMPLES := fold fold-report wordcount fedavg

.PHONY: all deps deps-vm demo check check-vm unit system layers shape bench format install uninstall clean fuzz programs
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
all: programs
programs: $(addprefix $(BIN)/,$(PROGRAMS) $(EXAMPLES))

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(SAY) '  CC    $<'
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<

define archive
$(call lib,$(1)): $(call obj,$(2))
	@mkdir -p $$(@D)
	@rm -f $$@
	$(Q)ar rcs $$@ $$^
endef
$(eval $(call archive,ground,$(GROUND)))
$(eval $(call archive,data,$(DATA)))
$(eval $(call archive,io,$(IO)))
$(eval $(call archive,job,$(JOB)))
$(eval $(call archive,jobs,$(JOBS)))
$(eval $(call archive,coordinator,$(COORDINATOR)))
$(eval $(call archive,worker,$(WORKER)))
$(eval $(call archive,image,$(IMAGE)))
$(eval $(call archive,sandbox,$(SANDBOX)))

COMMON_LIBS := $(call lib,io) $(call lib,data) $(call lib,ground)
link = @mkdir -p $(@D); $(SAY) '  LINK  $@'; $(SHOW) $(CC) $(LDFLAGS_ALL) -o $@ $^

$(BIN)/talkoot: $(call obj,jobs/main.c) $(call lib,jobs) $(call lib,job) $(COMMON_LIBS)
	$(link) $(USE_SERVE) $(USE_FETCH) $(USE_ARCHIVE) $(USE_DATA)
$(BIN)/talkoot-coordinator: $(call obj,coordinator/main.c) $(call lib,coordinator) $(call lib,job) $(COMMON_LIBS)
	$(link) $(USE_SERVE) $(USE_FETCH) $(USE_STORE) $(USE_DATA)
$(BIN)/talkoot-worker: $(call obj,worker/main.c) $(call lib,worker) $(call lib,job) $(COMMON_LIBS)
	$(link) $(USE_SERVE) $(USE_FETCH) $(USE_GATEWAY) $(USE_DATA)
# The box: static, so that a launch costs no dynamic linking, and it carries the digest of its policy. Built for this
# machine it is linked with musl: glibc asks the processor dozens of questions before main (CPUID, which a virtual
# machine answers slowly), three quarters of what starting it costs. For another machine, or where musl-gcc is
# missing, glibc does. musl has no headers of the kernel and its wrapper of gcc no static-pie: both stand here.
BOX_LD := $(if $(SAN),$(HARDEN_LD),-static-pie $(filter-out -pie,$(HARDEN_LD)))
MUSL_CC ?= $(if $(SAN)$(filter-out $(BUILD_CC),$(CC)),,$(shell command -v musl-gcc))
$(B)/obj/sandbox/filter.o $(B)/box/sandbox/filter.o: CFLAGS_ALL += -I$(B) \
	-DPOLICY_DIGEST='"sha256:$(shell sha256sum sandbox/policy.h | cut -c1-64)"'
$(B)/obj/sandbox/filter.o $(B)/box/sandbox/filter.o: sandbox/policy.h $(B)/gen/filter_code.h
ifeq ($(MUSL_CC),)
$(BIN)/talkoot-sandbox: HARDEN_LD := $(BOX_LD)
$(BIN)/talkoot-sandbox: $(call obj,sandbox/main.c) $(call lib,sandbox)
	$(link)
else
MUSL_CRT := $(dir $(shell $(MUSL_CC) -v 2>&1 | sed -n 's/^Reading specs from //p'))rcrt1.o
MUSL_LD := -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text $(filter-out -pie,$(HARDEN_LD))
KERNEL := $(B)/box/kernel
$(KERNEL)/linux:
	@mkdir -p $(@D)
	$(Q)ln -sfn /usr/include/asm-generic $(@D)/asm-generic
	$(Q)ln -sfn /usr/include/$$($(CC) -print-multiarch)/asm $(@D)/asm
	$(Q)ln -sfn /usr/include/linux $@
$(B)/box/%.o: %.c Makefile | $(KERNEL)/linux
	@mkdir -p $(@D)
	@$(SAY) '  CC    $< (musl)'
	$(Q)$(MUSL_CC) $(CFLAGS_ALL) -idirafter $(KERNEL) -c -o $@ $<
$(BIN)/talkoot-sandbox: $(patsubst %.c,$(B)/box/%.o,sandbox/main.c $(SANDBOX))
	@mkdir -p $(@D); $(SAY) '  LINK  $@'; $(SHOW) $(MUSL_CC) $(MUSL_LD) $(LDFLAGS) -o $@ $(MUSL_CRT) $^
endif

# What reads strangers' archives: static too, so that it runs in a box as it stands. Of libcrypto only SHA-256.
$(BIN)/talkoot-image: HARDEN_LD := $(BOX_LD)
$(BIN)/talkoot-image: $(call obj,image/main.c) $(call lib,image) $(call lib,ground)
	$(link) $(USE_ARCHIVE) -ljansson -lcrypto

# Its filter's code, for each architecture: made here, by a program that runs on this machine (BUILD_CC).
$(B)/gen/filter_gen: sandbox/filter_gen.c sandbox/filter_code.h sandbox/filter.h sandbox/box.h sandbox/policy.h Makefile
	@mkdir -p $(@D)
	@$(SAY) '  LINK  $@'
	$(Q)$(BUILD_CC) -std=c11 -D_GNU_SOURCE -I. -O1 $(WARN) $(WERROR) -o $@ $< $(USE_FILTER)
$(B)/gen/filter_code.h: $(B)/gen/filter_gen
	@$(SAY) '  GEN   $@'
	$(Q)$< >$@

# The example job is a stranger's program: static, and nothing of ours linked in.
$(BIN)/fold: jobs/examples/fold/fold.c Makefile
	@mkdir -p $(@D)
	@$(SAY) '  LINK  $@'
	$(Q)$(CC) -std=c11 -O2 $(WARN) $(WERROR) -ffp-contract=off -static -o $@ $<
$(BIN)/wordcount $(BIN)/fedavg: $(BIN)/%: Makefile
	@mkdir -p $(@D)
	@$(SAY) '  LINK  $@'
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 $(WARN) $(WERROR) -static -o $@ jobs/examples/$*/$*.c
$(BIN)/wordcount: jobs/examples/wordcount/wordcount.c
$(BIN)/fedavg: jobs/examples/fedavg/fedavg.c
$(BIN)/fold-report: jobs/examples/fold/report.c Makefile
	@mkdir -p $(@D)
	@$(SAY) '  LINK  $@'
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 $(WARN) $(WERROR) -o $@ $< -ljansson -lm

# .incbin is not seen by -MMD
$(B)/obj/coordinator/store.o: coordinator/schema.sql

-include $(shell find $(B)/obj $(B)/box -name "*.d" 2>/dev/null)

# --- deps ------------------------------------------------------------------------------------
PACKAGES := gcc libc6-dev make libevent-dev libcurl4-openssl-dev libjansson-dev \
	libsqlite3-dev libssl-dev libseccomp-dev musl-tools libminiupnpc-dev libnatpmp-dev \
	libarchive-dev libzstd-dev liblzma-dev libbz2-dev zlib1g-dev
TEST_PACKAGES := libcmocka-dev openssl python3 sqlite3 busybox-static curl qemu-user-static \
	stress-ng python3-numpy libopenblas0-pthread python3-libtorrent iproute2 python3-cryptography zstd xz-utils bzip2 luajit \
	autodock-vina povray stockfish

deps:
	@tests/deps.sh $(PACKAGES) $(TEST_PACKAGES)

# --- two commands ----------------------------------------------------------------------------
demo: deps
	@$(MAKE) --no-print-directory -j$(CPUS) all
	@jobs/examples/fold/demo.sh $(BIN)

check: deps
	@$(MAKE) --no-print-directory -j$(CPUS) WERROR=-Werror all build/sim/sim
	@$(MAKE) --no-print-directory WERROR=-Werror layers
	@$(MAKE) --no-print-directory -j$(CPUS) WERROR=-Werror SAN=1 unit-programs fuzz-replay-programs build/asan/sim/sim
	@$(MAKE) --no-print-directory FUZZ_RUNS=$(CHECK_RUNS) fuzz-replay
	@tests/run.sh build/asan/unit build/bin

# --- tests -----------------------------------------------------------------------------------
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_LIBS := $(foreach l,coordinator worker jobs image sandbox job io data ground,$(call lib,$(l)))
# Ten thousand workers in virtual time, deciding with worker/peers.c (tests/system/test_sim.sh runs it).
$(B)/sim/sim: $(B)/obj/tests/sim/sim.o $(call lib,worker) $(call lib,data) $(call lib,ground)
	@mkdir -p $(@D)
	@$(SAY) '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(USE_DATA)
.PHONY: sim
sim: $(B)/sim/sim
	@$(B)/sim/sim
.PHONY: unit-programs
unit-programs: $(UNIT)
$(B)/obj/tests/unit/test_filter.o: CFLAGS_ALL += -I$(B)
$(B)/obj/tests/unit/test_filter.o: $(B)/gen/filter_code.h
$(B)/unit/%: $(B)/obj/tests/unit/%.o $(UNIT_LIBS)
	@mkdir -p $(@D)
	@$(SAY) '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(UNIT_LIBS) -Wl,--end-group -lcmocka \
		$(USE_SERVE) $(USE_FETCH) $(USE_STORE) $(USE_GATEWAY) $(USE_FILTER) $(USE_ARCHIVE) $(USE_DATA) -lm
unit:
	@$(MAKE) --no-print-directory SAN=1 unit-programs
	@tests/run.sh build/asan/unit
system: all build/sim/sim
	@tests/run.sh - build/bin

# The box in a virtual machine, for what this machine's kernel does not have: cgroups of version 2 that hand out memory.
VM_PACKAGES := qemu-system-x86 busybox-static python3 gcc apparmor
deps-vm:
	@tests/deps.sh $(VM_PACKAGES)
	@tests/vm/vm.sh kernel build/vm
check-vm: all
	@tests/vm/vm.sh run build/vm

# Each tier, linked whole with only what stands below it: an undefined symbol is an upward call.
layers: $(foreach l,ground data io job sandbox image coordinator worker jobs,$(call lib,$(l)))
	@tests/layers.sh "$(CC)" $(B)

# --- fuzzing ---------------------------------------------------------------------------------
# `make fuzz FUZZ_SECONDS=60` runs each target that long with clang's libFuzzer, from the seeds in
# tests/fuzz/seeds; what it finds stays in build/fuzz. `make fuzz-replay` runs seeds and FUZZ_RUNS random
# mutations of them under gcc; `FUZZ_SEED=N` repeats a run.
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?= 20000
# in `make check`: a few seconds
CHECK_RUNS := 2000
FUZZ_PACKAGES := clang-14 libclang-rt-14-dev
FUZZ_CC ?= clang-14
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
# Everything but the programs' main.c and the box's filter, as one archive: a target takes from it what it calls.
FUZZ_OBJ := $(patsubst %.c,build/fuzz/obj/%.o,$(GROUND) $(DATA) $(IO) $(JOB) $(JOBS) $(COORDINATOR) $(WORKER) \
	$(IMAGE) $(filter-out sandbox/filter%,$(SANDBOX)))
FUZZ_USE := -Wl,--as-needed $(USE_SERVE) $(USE_FETCH) $(USE_STORE) $(USE_GATEWAY) $(USE_ARCHIVE) $(USE_DATA)
FUZZ_SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
build/fuzz/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(FUZZ_CC) -std=c11 -D_GNU_SOURCE -DTALKOOT_VERSION='"$(VERSION)"' -I. -O1 -g -MMD -MP $(FUZZ_SAN) \
		-fsanitize=fuzzer-no-link -c -o $@ $<
build/fuzz/lib.a: $(FUZZ_OBJ)
	@rm -f $@
	@ar qcs $@ $^
build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o build/fuzz/lib.a
	$(FUZZ_CC) $(FUZZ_SAN) -fsanitize=fuzzer -o $@ $^ $(FUZZ_USE)
-include $(shell find build/fuzz/obj -name '*.d' 2>/dev/null)
.PHONY: fuzz-programs fuzz-replay
.SECONDARY: $(FUZZ:%=build/fuzz/obj/tests/fuzz/fuzz_%.o)
fuzz-programs: $(FUZZ:%=build/fuzz/fuzz_%)
fuzz:
	@tests/deps.sh $(FUZZ_PACKAGES)
	@$(MAKE) --no-print-directory fuzz-programs
	@set -e; for t in $(FUZZ); do mkdir -p build/fuzz/corpus/$$t; echo "fuzz: $$t for $(FUZZ_SECONDS) s"; \
		build/fuzz/fuzz_$$t -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 -rss_limit_mb=4096 \
			-print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/found-$$t- \
			build/fuzz/corpus/$$t tests/fuzz/seeds/$$t; done
fuzz-replay:
	@$(MAKE) --no-print-directory SAN=1 fuzz-replay-programs
	@set -e; for t in $(FUZZ); do \
		build/asan/fuzz/fuzz_$$t -runs=$(FUZZ_RUNS) $(if $(FUZZ_SEED),-seed=$(FUZZ_SEED)) tests/fuzz/seeds/$$t >/dev/null; done
.PHONY: fuzz-replay-programs
fuzz-replay-programs: $(FUZZ:%=$(B)/fuzz/fuzz_%)
$(B)/fuzz/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/main.o $(UNIT_LIBS)
	@mkdir -p $(@D)
	@$(SAY) '  LINK  $@'
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(UNIT_LIBS) -Wl,--end-group $(FUZZ_USE)

shape:
	@tests/shape.sh
# `make bench` runs each of them, `make bench-grid` one. They print; but for bench-sandbox they assert nothing.
BENCHES := $(patsubst tests/bench/bench_%.py,bench-%,$(wildcard tests/bench/bench_*.py))
.PHONY: $(BENCHES)
bench: $(BENCHES)
BENCHES += bench-sandbox
.PHONY: bench-sandbox
BENCH_N ?= 400
BENCH_LAUNCHES ?= 10000
$(B)/bench/%: tests/bench/%.c tests/bench/keeper.c tests/bench/keeper.h sandbox/box.h Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -I. -O2 $(filter-out -Wwrite-strings,$(WARN)) $(WERROR) -o $@ $(filter %.c,$^)
$(B)/bench/static_%: tests/bench/static_%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -O2 -static -pthread -o $@ $<
# What it costs is printed; that limits hold within a second and that nothing is left is asserted.
bench-sandbox: all $(addprefix $(B)/bench/,bench_sandbox bench_limits bench_leaves static_noop static_wait static_beyond)
	@tests/deps.sh bubblewrap
	@$(B)/bench/bench_sandbox $(BIN)/talkoot-sandbox $(B)/bench/static_noop $(B)/bench/static_wait $(BENCH_N)
	@$(B)/bench/bench_limits $(BIN)/talkoot-sandbox $(B)/bench/static_beyond
	@$(B)/bench/bench_leaves $(BIN)/talkoot-sandbox $(B)/bench/static_noop $(B)/bench/static_wait $(BENCH_LAUNCHES)
$(filter-out bench-sandbox,$(BENCHES)): bench-%: all
	@TALKOOT_BIN=$(CURDIR)/$(BIN) python3 tests/bench/bench_$*.py
format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# --- install ---------------------------------------------------------------------------------
MAN := $(wildcard docs/man/*.1)
# where things go, in quotes: folders may have spaces in their names
BIN_DIR = $(DESTDIR)$(PREFIX)/bin
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man1
install: all
	install -d "$(BIN_DIR)" "$(MAN_DIR)"
	install -m 0755 $(addprefix $(BIN)/,$(PROGRAMS)) "$(BIN_DIR)"
	$(if $(MAN),install -m 0644 $(MAN) "$(MAN_DIR)")
	@DESTDIR='$(DESTDIR)' packaging/apparmor/profile.sh install '$(PREFIX)/bin'
uninstall:
	@DESTDIR='$(DESTDIR)' packaging/apparmor/profile.sh remove '$(PREFIX)/bin'
	rm -f $(foreach p,$(PROGRAMS),"$(BIN_DIR)/$(p)")
	rm -f $(foreach m,$(notdir $(MAN)),"$(MAN_DIR)/$(m)")
clean:
	rm -rf build
