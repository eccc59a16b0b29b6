# Two commands: `make run` shows the demo, `make test` proves the rest. Both set everything up.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test lint bench setup screenshot clean

run: setup
	$(BIN)/gonogo demo $(DEMO_ARGS)

test: setup lint
	$(BIN)/python -m pytest --ignore=tests/bench $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: setup
	$(PIP) install -q -c constraints.txt -e '.[dev,train,bench]'
	$(BIN)/python -m pytest tests/bench -q -s $(PYTEST_ARGS)

screenshot: setup
	$(BIN)/python docs/screenshot.py

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v=sys.version_info; sys.exit(0 if v >= (3, 11) else "gonogo needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt torch==2.13.0
	$(PIP) install -q -c constraints.txt -e '.[dev,train]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
