# Every command of this repository. Each target sets up what it needs, needs nothing but make and python3, and fails when anything it shows does not hold.

PYTHON ?= python3
STAGE ?= prod
API_PORT ?= 8000
AWS_PORT ?= 5000
SPEED ?= 60
TOKEN ?= local-admin-token
WORKERS ?= auto
SEED ?= 1
DAYS ?= 2
ONLY ?=
SHARE ?= 1

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# boto3's least version stands in pyproject.toml; its own virtual environment tests it.
OLDEST := $(VENV)/oldest-boto3

.PHONY: help setup demo serve test contract simulate crash bench evaluate check token docs package test-oldest-boto3 clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with everything that development needs

$(READY): requirements.txt requirements-dev.txt tools/make_venv.sh
	@PYTHON=$(PYTHON) sh tools/make_venv.sh $(VENV) requirements-dev.txt

demo: setup ## play the main job on a simulated AWS, against the clock
	@$(BIN)/python -m localaws demo

serve: setup ## a simulated AWS and Curfew on it, for curl (API_PORT, AWS_PORT, SPEED, TOKEN)
	@$(BIN)/python -m localaws serve --api-port $(API_PORT) --aws-port $(AWS_PORT) --speed $(SPEED) --admin-token $(TOKEN)

test: setup ## the whole test suite but `make contract` (ARGS="-k idle" narrows it)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

contract: setup ## Schemathesis over HTTP: every call that GET /openapi.json lists, and every one that it forbids
	@$(BIN)/python -m pytest tests/e2e/test_contract.py -m contract_http -n $(WORKERS) $(ARGS)

simulate: setup ## the promise over virtual days of chance and faults (SEED, DAYS), and over real data in CURFEW_DATA_DIR
	@$(BIN)/python -m tests.simulation --seed $(SEED) --days $(DAYS)

crash: setup ## an accident at every call of AWS that a launch, a PATCH, an adoption or an end makes (ONLY="end one-time", SHARE=4: every fourth)
	@$(BIN)/python -m tests.crash --only "$(ONLY)" --one-of $(SHARE)

bench: setup ## what Curfew itself costs a month, counted on a simulated AWS, and its meter beside the bill (SEED)
	@$(BIN)/python -m tests.simulation.bench --seed $(SEED)

evaluate: setup ## what ending idle boxes would have cost and saved on real GPU use (TRACE=file.csv[.gz], else from CURFEW_DATA_DIR)
	@$(BIN)/python tools/evaluate.py "$(TRACE)"

check: setup ## ruff, mypy --strict, the import linter, cfn-lint on the template if it was packaged
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy app.py chalicelib localaws tools
	$(BIN)/lint-imports
	@if [ -f out/sam.json ]; then echo "$(BIN)/cfn-lint out/sam.json"; $(BIN)/cfn-lint out/sam.json; fi
	$(BIN)/cfn-lint .chalice/forwarder.json

token: setup ## a token for OWNER as ROLE, from the Curfew at CURFEW_URL (EXPIRES_IN, LIMIT_USD); without OWNER a first one, to deploy with
	@OWNER="$(OWNER)" ROLE="$(ROLE)" EXPIRES_IN="$(EXPIRES_IN)" LIMIT_USD="$(LIMIT_USD)" $(BIN)/python tools/make_token.py

docs: setup ## write docs/rules.md anew, from the rules' docstrings and the policy's defaults
	@$(BIN)/python tools/rules_doc.py

package: setup ## write out/deployment.zip and out/sam.json for STAGE; no AWS account needed
	@$(BIN)/python tools/package.py $(STAGE)

test-oldest-boto3: $(OLDEST)/.ready ## the adapters' tests on the oldest boto3 that is supported
	@$(OLDEST)/bin/python -m pytest tests/contract -n $(WORKERS) --dist worksteal $(ARGS)

$(OLDEST)/.ready: requirements.txt requirements-dev.txt pyproject.toml tools/make_venv.sh tools/oldest_boto3.py | setup
	@mkdir -p out && $(BIN)/python tools/oldest_boto3.py > out/requirements-oldest-boto3.txt
	@PYTHON=$(PYTHON) sh tools/make_venv.sh $(OLDEST) out/requirements-oldest-boto3.txt

clean: ## remove everything the other targets made
	rm -rf $(VENV) out .chalice/deployments .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
