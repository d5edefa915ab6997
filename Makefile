# Two commands do everything on a fresh machine with Python >= 3.11 and a package index: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check lint types unit clean

# The main job on the embedded suite, offline: one episode as the agent thinks it, then a table of all methods, and the
# path of the HTML report.
demo: $(VENV)/.demo
	$(BIN)/autollmresearch play micro/N98k-D1M --budget 3 --protocol metered:10
	$(BIN)/autollmresearch benchmark --suite micro --budget 5 --seeds 5 --out demo

# Installs, lints, type-checks, tests.
test: $(VENV)/.test lint types unit

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

unit:
	$(BIN)/pytest --dist loadgroup -n $$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)  # nproc heeds it, the workers should

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

# torch is asked for exactly as pinned and on its own, so that no resolver picks a larger build of it.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt $$(grep '^torch==' constraints.txt)
	$(PIP) install -c constraints.txt -e '.[agent,bench]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
