# One Makefile for everything: `make`, `make demo`, `make test`, `make check`, `make run`, `make bench`, `make install`.
#
# Sources are globbed: a new file in src/ or tests/unit/ needs no line here. Every build variant has its own folder
# (build, build/asan, build/tsan) and the same rules; `make VARIANT=asan skald` is what `make asan` uses underneath.

VARIANT ?=
B       := build$(if $(VARIANT),/$(VARIANT))
CC      ?= gcc
PYTHON  := /usr/bin/python3

LIBS    := libuv liburing libcurl libcjson lua5.1 libmicrohttpd liblzf libcrypto libutf8proc
WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wno-unused-parameter
CFLAGS  ?= -O2 -g
CSTD    := -std=gnu11 -D_GNU_SOURCE -fno-strict-aliasing -fno-omit-frame-pointer -pthread
CPPFLAGS += -Isrc -MMD -MP
LDLIBS   = $(shell pkg-config --libs $(LIBS)) -lstemmer -lm -lpthread
ALLOC    = -ljemalloc

ifeq ($(VARIANT),asan)
CFLAGS  += -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
ALLOC    =
endif
ifeq ($(VARIANT),tsan)
CFLAGS  += -O1 -fsanitize=thread
LDFLAGS += -fsanitize=thread
ALLOC    =
endif

ifeq ($(VARIANT),fuzz)
CC      := clang
WARN    := # gcc is the compiler whose warnings count
CFLAGS  += -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=fuzzer,address,undefined
ALLOC    =
endif

SRC   := $(wildcard src/*.c src/*/*.c)
OBJ   := $(SRC:%.c=$(B)/%.o)
LIB   := $(B)/libskald.a
UNIT  := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/test_*.c))
FUZZ  := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all
all: $(B)/skald

.PHONY: skald unit-bins fuzz-bins
skald: $(B)/skald
unit-bins: $(UNIT)
fuzz-bins: $(FUZZ)

$(B)/skald: $(B)/src/main.o $(LIB)
	@echo "  LD    $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) $(ALLOC)

$(LIB): $(filter-out $(B)/src/main.o,$(OBJ))
	@rm -f $@ && ar rcs $@ $^

# The folder simd/ is the only one with intrinsics: each file is compiled for the instruction set it is named after.
ARCH := $(shell uname -m)
$(B)/src/simd/avx2.o:    ISA := $(if $(filter x86_64,$(ARCH)),-mavx2 -mfma -mf16c -mbmi -mbmi2)
$(B)/src/simd/avx512.o:  ISA := $(if $(filter x86_64,$(ARCH)),-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c)
$(B)/src/simd/avx512vnni.o: ISA := $(if $(filter x86_64,$(ARCH)),-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni)
$(B)/src/simd/codes_avx2.o: ISA := $(if $(filter x86_64,$(ARCH)),-mavx2 -mfma -mf16c -mpopcnt)
$(B)/src/simd/codes_avx512.o: ISA := $(if $(filter x86_64,$(ARCH)),-mavx512f -mavx512bw -mavx512dq -mavx512vl)
$(B)/src/simd/codes_avx512popcnt.o: ISA := $(if $(filter x86_64,$(ARCH)),-mavx512f -mavx512bw -mavx512vpopcntdq)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CSTD) $(CPPFLAGS) $(WARN) $(CFLAGS) $(ISA) -c -o $@ $<

$(B)/unit/%: tests/unit/%.c $(LIB)
	@mkdir -p $(@D)
	@echo "  TEST  $@"
	@$(CC) $(CSTD) $(CPPFLAGS) -Itests $(WARN) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS) $(ALLOC) -lcmocka

.PHONY: unit list-unit
list-unit:
	@echo $(UNIT)
unit: $(UNIT)
	@set -e; for t in $(UNIT); do echo "== $$t"; $$t; done

# Each fuzz target runs FUZZ_SECONDS over its corpus in build/fuzz-corpus, which is kept between runs.
FUZZ_SECONDS ?= 20
$(B)/fuzz/%: tests/fuzz/%.c $(LIB)
	@mkdir -p $(@D)
	@echo "  FUZZ  $@"
	@$(CC) $(CSTD) $(CPPFLAGS) -Itests $(WARN) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(LDLIBS)

.PHONY: fuzz fuzz-run
fuzz:
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-run
fuzz-run: $(FUZZ)
	@utils/units.py --fuzz $(FUZZ_SECONDS) $(FUZZ)

.PHONY: deps check test asan tsan demo run bench diff-fuzz install
deps:
	@utils/deps.sh
# Fast: no server is started.
check: $(UNIT)
	@utils/headers.sh
	@$(PYTHON) utils/layers.py
	@$(PYTHON) utils/sizes.py
	@utils/units.py $(UNIT)
test: deps
	@$(MAKE) --no-print-directory -j3 skald unit-bins
	@utils/test.sh
asan tsan: deps
	@utils/test.sh $@
demo:
	@utils/deps.sh build
	@$(MAKE) --no-print-directory -j2 skald
	@$(PYTHON) utils/demo.py
run: $(B)/skald
	@mkdir -p build/run && $(B)/skald --dir build/run --appendonly yes
diff-fuzz: deps
	@$(MAKE) --no-print-directory -j2 skald
	@$(PYTHON) tests/diff/difffuzz.py --seed $(or $(SEED),1) --commands $(or $(COMMANDS),1000000) --keep-going 20
bench: deps
	@$(MAKE) --no-print-directory -j2 skald
	@$(PYTHON) utils/bench.py

# What searches by words, by vectors and by both find of what people judged to be relevant; the collections are named there.
.PHONY: bench-retrieval
bench-retrieval:
	@utils/deps.sh build
	@$(MAKE) --no-print-directory -j2 skald
	@$(PYTHON) utils/bench_retrieval.py

# Skald's vector index beside other libraries; see bench/vectors/README.md. Their code is compiled as their users do it.
VB       := build/bench-vectors
CXXBENCH := -std=c++17 -O3 -march=native -Wall -Wextra -pthread
$(VB)/%.o: bench/vectors/%.cpp $(wildcard bench/vectors/*.h bench/vectors/*.hpp)
	@mkdir -p $(@D)
	@echo "  CXX   $<"
	@g++ $(CXXBENCH) $(if $(filter %/engines.o,$@),-fopenmp) -c -o $@ $<
$(VB)/skald_engine.o: bench/vectors/skald_engine.c bench/vectors/skald_engine.h $(LIB)
	@mkdir -p $(@D)
	@$(CC) $(CSTD) -Isrc $(WARN) $(CFLAGS) -c -o $@ $<
$(VB)/inproc: $(addprefix $(VB)/,inproc.o data.o engines.o skald_engine.o) $(LIB)
	@echo "  LD    $@"
	@g++ -fopenmp -o $@ $^ -lfaiss -llapack -lblas $(LDLIBS) $(ALLOC)
$(VB)/wire: $(addprefix $(VB)/,wire.o data.o)
	@echo "  LD    $@"
	@g++ -pthread -o $@ $^ -lhiredis

.PHONY: bench-vectors
bench-vectors:
	@utils/deps.sh bench
	@$(MAKE) --no-print-directory -j2 skald $(VB)/inproc $(VB)/wire
	@$(PYTHON) bench/vectors/run.py

# What Skald adds to a call of a model, beside the call itself and another gateway; see bench/gateway/README.md.
GB := build/bench-gateway
$(GB)/%: bench/gateway/%.c bench/gateway/wire.c bench/gateway/wire.h
	@mkdir -p $(@D)
	@echo "  BENCH $@"
	@$(CC) $(CSTD) $(WARN) $(CFLAGS) -o $@ $< bench/gateway/wire.c

.PHONY: bench-gateway
bench-gateway:
	@utils/deps.sh
	@$(MAKE) --no-print-directory -j2 skald $(GB)/mock $(GB)/load
	@$(PYTHON) bench/gateway/run.py

# Redis's own suite against build/skald; see redis-tests-compat/README.md.
.PHONY: redis-tests
redis-tests: deps
	@$(MAKE) --no-print-directory -j2 skald
	@$(PYTHON) redis-tests-compat/run.py

PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
install: $(B)/skald
	install -D -m 755 $(B)/skald $(DESTDIR)$(PREFIX)/bin/skald
	install -d -m 755 $(DESTDIR)$(SYSCONFDIR)/skald
	$(B)/skald --sample-config > $(DESTDIR)$(SYSCONFDIR)/skald/skald.conf.sample
	test -e $(DESTDIR)$(SYSCONFDIR)/skald/skald.conf || \
		{ printf 'appendonly yes\n\n'; $(B)/skald --sample-config; } > $(DESTDIR)$(SYSCONFDIR)/skald/skald.conf
	install -d -m 755 $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@bin@|$(PREFIX)/bin/skald|; s|@conf@|$(SYSCONFDIR)/skald/skald.conf|' utils/skald.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/skald.service

.PHONY: clean
clean:
	@rm -rf build

-include $(OBJ:.o=.d) $(UNIT:=.d)
