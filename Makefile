# Two commands: `make run` shows the demo, `make test` proves the rest. Both set everything up.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Test files that run at a time; `make test WORKERS=0` runs everything in one process.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest --ignore=tests/bench
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test laptop again lint bench setup screenshot clean

run: setup
	$(BIN)/gonogo demo $(DEMO_ARGS)

# Tests that wait for networks, engines and other processes can starve on a small, busy machine: what
# failed beside others is tried once more with the machine to itself, and what fails twice fails.
# Tests marked `alone` measure the machine and get it to themselves from the start (5: none selected).
test: setup lint
	$(PYTEST) -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone" $(PYTEST_ARGS) || $(MAKE) --no-print-directory again
	$(PYTEST) -m alone $(PYTEST_ARGS) || [ $$? -eq 5 ]

# The laptop's part on another interpreter, without torch: make laptop PYTHON=python3.13
laptop:
	$(PYTHON) -m venv $(VENV)-laptop
	$(VENV)-laptop/bin/python -m pip --disable-pip-version-check install -q -c constraints.txt -e '.[dev,web]'
	$(VENV)-laptop/bin/python -m pytest tests/unit tests/hygiene tests/ui -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

again:
	@echo "Once more, one at a time, what failed:"
	$(PYTEST) --last-failed --last-failed-no-failures none $(PYTEST_ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: setup
	$(PIP) install -q -c constraints.txt -e '.[dev,train,web,bench]'
	$(BIN)/python -m pytest tests/bench -q -s $(PYTEST_ARGS)

screenshot: setup
	$(BIN)/python docs/screenshot.py

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v=sys.version_info; sys.exit(0 if v >= (3, 11) else "gonogo needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt torch==2.13.0
	$(PIP) install -q -c constraints.txt -e '.[dev,train,web]'
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-laptop build dist *.egg-info
