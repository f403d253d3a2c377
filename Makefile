# Two targets matter: `make demo` and `make test`. Everything lives in .venv.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := setup.py pyproject.toml $(shell find lowlat -name '*.pyx' -o -name '*.pxd' -o -name '*.h')

.PHONY: setup dev demo fmt lint test test-postgres stress marathon explore conformance audit bench clean lock

setup: .venv/.built
dev: .venv/.dev .venv/.built

.venv/.runtime: requirements/runtime.lock
	@test "$$(uname -s)" = Linux || { echo "lowlat runs on Linux only, this is $$(uname -s)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	@echo "installing what runs it into .venv"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.dev: requirements/dev.lock | .venv/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.built: $(SOURCES) | .venv/.runtime
	@echo "compiling $(words $(filter %.pyx,$(SOURCES))) modules: some minutes, only the first time"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup
	$(BIN)/lowlat demo

fmt: dev
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/stubtest.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint lowlat
	$(BIN)/lint-imports
	PYTHONPATH=. $(BIN)/python tools/layout_header.py --check

test: dev
	$(BIN)/python -m pytest -q -m "not stress"

stress: dev
	$(BIN)/python -m pytest -q -m "(stress or kill) and not marathon" --durations=40 --durations-min=1

marathon: dev
	$(BIN)/python -m pytest -q -m marathon --durations=0

explore: dev
	$(BIN)/python -m pytest -q -m "hypothesis and not stress" --hypothesis-profile=explore

conformance: dev
	$(BIN)/python tools/conformance.py

test-postgres: dev
	$(BIN)/python tools/with_postgres.py $(BIN)/python -m pytest -q tests/store/ledger

audit:
	@command -v pip-audit >/dev/null || { echo "pip-audit is missing: pipx install pip-audit; it asks a service on the network"; exit 2; }
	pip-audit --require-hashes --disable-pip -r requirements/runtime.lock

bench: setup
	$(BIN)/lowlat bench

lock:
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 requirements/dev.in -o requirements/dev.lock
	uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -c requirements/dev.lock requirements/runtime.in -o requirements/runtime.lock

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find lowlat -name '*.so' -delete
