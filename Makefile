# Two commands do everything on a fresh machine with Python >= 3.11 and a package index: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check docs lint types unit pins audit fuzz nightly clean

# The main job on the embedded suite, offline: one episode as the agent thinks it, then a table of all methods, and the
# path of the HTML report.
demo: $(VENV)/.demo
	$(BIN)/autollmresearch play micro/N98k-D1M --budget 3 --protocol metered:10
	$(BIN)/autollmresearch benchmark --suite micro --budget 5 --seeds 5 --out demo

# The documentation as a site; a warning is an error. The tests build it, too (tests/test_site.py).
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo open site/index.html

# Installs, lints, type-checks, tests.
test: $(VENV)/.test lint types unit

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

unit:
	$(BIN)/pytest --dist loadgroup -n $$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)  # nproc heeds it, the workers should

# What is installed is what was looked at: every distribution is pinned, and none asks for another version. Offline.
pins: $(VENV)/.test
	$(BIN)/python -m pip --disable-pip-version-check check
	$(BIN)/python .ci/pinned.py

# Known vulnerabilities of what is pinned. Asks a service on the network, so continuous integration does not run it.
audit: pins
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip --disable-pip-version-check -q install 'pip-audit>=2.7,<3'
	$(VENV)-audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip

# A coverage-guided campaign on every reader (hours); the same command goes on where it stopped. FUZZ says where it keeps
# what it finds: not in the repository.
FUZZ ?= $(HOME)/autollmresearch-fuzz
fuzz: $(VENV)/.test
	$(PIP) install -c constraints.txt -e '.[agent,fuzz]'
	$(BIN)/python -m fuzz.run --out $(FUZZ)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; say make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

# torch is asked for exactly as pinned and on its own, so that no resolver picks a larger build of it.
$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt $$(grep '^torch==' constraints.txt)
	$(PIP) install -c constraints.txt -e '.[agent,bench]'
	touch $@

$(VENV)/.docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[docs]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@

# Hours, for a machine with nothing else to do at night: a hundred times the examples, 224 kills, seeds of all kept rows, an
# hour under load, and one more on PostgreSQL if POSTGRES is the URL of a database.
nightly: $(VENV)/.test
	$(BIN)/pytest --hypothesis-profile=nightly -n 2 tests/autollmresearch/test_dialogue_machine.py tests/autollmresearch/live/test_study_machine.py tests/llmconfig_gym
	CRASH_KILLS=28 $(BIN)/pytest -n 2 tests/crash
	$(BIN)/llmconfig-gym download steplaw hwgpt admire regmix
	$(BIN)/python benchmarks/kept.py check --suite all
	$(BIN)/python benchmarks/soak.py --minutes 60 --rate 20 --workers 12
	$(if $(POSTGRES),$(BIN)/python benchmarks/soak.py --minutes 60 --rate 20 --workers 12 --storage '$(POSTGRES)')

clean:
	rm -rf $(VENV) $(VENV)-* demo site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
