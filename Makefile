# `make demo` and `make test` need Python 3.11 or later and make; they set up what else they need.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
.PHONY: demo test lint laws bench setup clean

setup: $(READY)

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY)  ## the published case to a FHIR bundle and back
	@$(BIN)/fhir-adapter demo

test: $(READY) lint  ## everything that must hold
	$(BIN)/python -m pytest -q -n auto tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

laws: $(READY)  ## the laws on 10,000 generated cases (long)
	FHIR_ADAPTER_EXAMPLES=10000 $(BIN)/python -m pytest -q -n auto tests/test_laws.py

bench: $(READY)  ## ratios, in one run
	$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
