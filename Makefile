# Two commands are all the set-up there is: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := .run
LISTEN ?= 127.0.0.1:10123

.PHONY: run test test-lowest lint bench torture attack simulate install clean
.DEFAULT_GOAL := help

help:
	@echo "make run              serve the bundled sample week at http://$(LISTEN)/"
	@echo "make run LOG=FILE     serve your own log"
	@echo "make test             lint, check types, and run every test whose parts are installed"
	@echo "make test-lowest      run the quick tests with the lowest versions that pyproject.toml allows"
	@echo "make lint             run ruff, cython-lint, import-linter and mypy only"
	@echo "make bench            measure speed and memory beside grep, zgrep and mtail"
	@echo "make torture          kill the exporter thousands of times under every kind of rotation, and count"
	@echo "make attack           run the attack tests at full length (half an hour) and print their figures"
	@echo "make simulate         judge the advice on twenty simulated weeks, and show what it changes"
	@echo "make install          build .venv with the command in it"

# Checks for each missing part before it builds anything, and names the part's Debian package.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: apt-get install python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) -V). Set PYTHON=python3.x" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	@command -v $${CC:-cc} >/dev/null || { echo "a C compiler is missing: apt-get install gcc libc6-dev" >&2; exit 1; }
	@$(PYTHON) -c 'import os, sys, sysconfig; \
	  sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || \
	  { echo "Python's headers are missing: apt-get install python3-dev" >&2; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

# Compiles the Cython modules in place. A plain path, not a finder, leads to them, so that the command starts as quickly
# here as after a usual installation.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat

$(VENV)/.installed: pyproject.toml setup.py $(wildcard postgrey_exporter/*/*.p[yx][xd]) | $(BIN)/python
	@echo "Installing postgrey-exporter into $(VENV): downloads, then compiles (once, a minute or two) …"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.installed
	@echo "Installing the tools of the tests into $(VENV) (once, a minute or two) …"
	@$(INSTALL) --editable '.[test]'
	@touch $@

install: $(VENV)/.installed

$(RUN)/mail.log: $(VENV)/.installed
	@mkdir -p $(RUN)
	@rm -f $(RUN)/state.sqlite3*
	@echo "Making the log of the sample week …"
	@$(BIN)/python -m postgrey_exporter.sample > $@

ifdef LOG
run: $(VENV)/.installed
	@mkdir -p $(RUN)/own
	@echo 'Serving $(LOG) at http://$(LISTEN)/ (end it with Ctrl-C) …'
	$(BIN)/postgrey-exporter serve --mail-log '$(LOG)' --state $(RUN)/own/state.sqlite3 --web.listen-address $(LISTEN)
else
run: $(VENV)/.installed
	@rm -f $(RUN)/mail.log
	@$(MAKE) --no-print-directory $(RUN)/mail.log
	@echo "Serving the sample week at http://$(LISTEN)/ (end it with Ctrl-C) …"
	$(BIN)/postgrey-exporter serve --mail-log $(RUN)/mail.log --state $(RUN)/state.sqlite3 \
	  --whitelist-file postgrey_exporter/sample/whitelist_clients --ignore-file postgrey_exporter/sample/ignore \
	  --web.listen-address $(LISTEN)
endif

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint postgrey_exporter
	$(BIN)/lint-imports
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

# Each lower bound in pyproject.toml is true: what builds, runs and tests the program is of the lowest version named there.
LOWEST := .venv-lowest
QUICK := $(addprefix tests/,cli clients exporter parsing pipeline report review sample sources)

$(LOWEST)/.installed: pyproject.toml setup.py $(wildcard postgrey_exporter/*/*.p[yx][xd]) | $(BIN)/python
	rm -rf $(LOWEST)
	$(BIN)/python -m venv $(LOWEST)
	sed -nE 's/.*"([A-Za-z0-9._-]+)>=([0-9.]+).*/\1==\2/p' pyproject.toml | sort -u > $(LOWEST)/constraints
	PIP_CONSTRAINT=$(LOWEST)/constraints $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check '.[test]'
	@touch $@

# The program is the one installed there, not the one beside the tests.
test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python -P -m pytest -n 2 --dist worksteal $(QUICK)

bench: $(VENV)/.installed-test
	PYTHONPATH=tests $(BIN)/python -m benchmarks.bench $(ARGS)

torture: $(VENV)/.installed-test
	PYTHONPATH=tests $(BIN)/python -m torture $(ARGS)
	PYTHONPATH=tests $(BIN)/python -m torture.crash_points
	PYTHONPATH=tests $(BIN)/python -m torture.system_calls

attack: $(VENV)/.installed-test
	$(BIN)/pytest tests/attacks --long $(ARGS)

simulate: $(VENV)/.installed-test
	PYTHONPATH=tests $(BIN)/python -m simulation.run --weeks 20 --wrong $(ARGS)
	PYTHONPATH=tests $(BIN)/python -m simulation.before_after

clean:
	rm -rf $(VENV) $(LOWEST) $(RUN) build dist *.egg-info postgrey_exporter/*/*.so
