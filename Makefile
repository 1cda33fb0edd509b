# The front door. Meson and ninja do the work underneath (meson.build, scripts/build.sh).
#   ROOM=store   only the unit tests of one room
#   TYPE=asan    another build for them: debug (default), release, asan, tsan, clang
#   SECONDS=300  of each fuzz target
#   SEEDS=20000  runs of the simulator; FIRST=1 the seed of the first
#   PREFIX=DIR   where install puts things
#   JOBS=2       parallel compilations

PREFIX ?= /usr/local
TYPE ?= debug
SECONDS ?= 60
SEEDS ?= 1000
FIRST ?= 1
CLANG_FORMAT ?= clang-format-19
SOURCES = $(shell find src include sdk examples tests bench -name '*.[ch]' -not -path 'tests/recorded/*' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help run setup build debug test unit bench asan tsan fuzz simulate clang install format format-check clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-14s %s\n' "$$name" "$$text"; done

run: build ## set up, build, and start a server on 127.0.0.1:3000 with the chat example
	@scripts/run.sh

setup: ## install what is missing and build the WebAssembly engine (once per machine)
	@scripts/setup.sh run

build: setup ## the release binary: build/release/lightcone
	@scripts/build.sh release lightcone

debug: setup ## the same without optimisation: build/debug/lightcone
	@scripts/build.sh debug lightcone

test: ## everything: unit tests and integration suites; last line `N passed, N failed`
	@scripts/setup.sh test
	@scripts/test.sh

unit: ## unit tests of one room (ROOM=store) or of all
	@scripts/unit.sh $(TYPE) $(ROOM)

bench: build ## the benchmarks, against a fresh server
	@scripts/setup.sh bench
	@scripts/build.sh release bench
	@bench/run.sh

asan: ## the whole test run with address and undefined-behaviour sanitizers
	@scripts/setup.sh test
	@scripts/test.sh asan

tsan: ## the whole test run with the thread sanitizer
	@scripts/setup.sh test
	@scripts/test.sh tsan

fuzz: ## the fuzz targets, a minute each (SECONDS=300)
	@scripts/fuzz.sh $(SECONDS)

simulate: ## simulated crashes of store, journal and snapshots: SEEDS=20000 FIRST=1 (TYPE=asan slower)
	@scripts/simulate.sh $(if $(filter command line,$(origin TYPE)),$(TYPE),release) $(SEEDS) $(FIRST)

clang: ## compile everything with clang-19 too (warnings are errors)
	@scripts/build.sh clang

install: build ## program, headers and module runtime under PREFIX (default /usr/local)
	@scripts/install.sh "$(DESTDIR)$(PREFIX)"

format: ## bring all C files into the house style
	@$(CLANG_FORMAT) -i $(SOURCES)

format-check: ## complain about C files that are not in the house style
	@$(CLANG_FORMAT) --dry-run -Werror $(SOURCES)

clean: ## remove what was built (the engine in the cache stays)
	@rm -rf build
