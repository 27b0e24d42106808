# The commands people use. Everything installs what it needs into .venv; nothing outside this folder changes,
# but `make test` adds Debian packages for its servers when it runs as root (see scripts/install-peers).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check

.PHONY: run demo test test-all chaos check bench fmt lint types imports unit clean

run: $(VENV)/.installed
	$(BIN)/wattline run --config config --data data

demo: $(VENV)/.installed
	$(BIN)/wattline demo --data data-demo

test: $(VENV)/.installed-test
	./scripts/install-peers
	$(BIN)/python -m pytest -q -m "not slow"

# Everything, also what takes long: kill -9 for many rounds, large stores, long fuzzing.
test-all: $(VENV)/.installed-test
	./scripts/install-peers
	$(BIN)/python -m pytest -q --timeout 1800

chaos: $(VENV)/.installed-test
	./scripts/install-peers
	$(BIN)/python -m tests.chaos.kill9 --runs 100 --rate 2000

check: $(VENV)/.installed-check lint types imports unit

lint: $(VENV)/.installed-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-check
	$(BIN)/mypy
	$(BIN)/mypy tests bench

imports: $(VENV)/.installed-check
	$(BIN)/lint-imports

# The pure half and the parts that need no server: seconds, so that people run it on save.
unit: $(VENV)/.installed-check
	$(BIN)/python -m pytest -q -m "not slow" tests/hub/model tests/hub/energy tests/hub/runtime tests/hub/config tests/docs

bench: $(VENV)/.installed-test
	./scripts/install-peers
	$(BIN)/python -m bench

fmt: $(VENV)/.installed-check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Wattline needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install -q -c constraints.txt -e '.[test]'
	touch $@

$(VENV)/.installed-check: $(VENV)/.installed-test
	$(PIP) install -q -c constraints.txt -e '.[test,check]'
	touch $@
