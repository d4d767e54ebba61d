# Everything runs in .venv, which the first target that needs it makes from requirements.lock.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GOOGLEAPIS := third_party/googleapis
SERVICES := $(wildcard protos/conferencing/v1/*_service.proto)
PROTOS := $(wildcard protos/conferencing/v1/*.proto)

.DEFAULT_GOAL := help
.PHONY: help demo run check quick test soak interop fuzz bench profile lint format breaking breaking-baseline proto proto-check service-config docs reference api protos-archive dist rules drift lock lock-image clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/ready ## Show commands going out and events coming back, against a simulated Telnyx
	@$(BIN)/telnyx-gateway demo

run: $(VENV)/ready ## Serve on the default ports, against a simulated Telnyx
	@$(BIN)/telnyx-gateway serve --sandbox

# Side by side, and not line by line where make can tell their lines apart.
check: $(VENV)/ready ## Run the quick part of the tests, and lint: within a minute, for every save
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) lint quick

quick: $(VENV)/ready
	$(BIN)/python -m pytest -q --quick

# How late honest calls are under attack is measured, and so by nothing else beside it.
test: $(VENV)/ready ## Run all tests, shared among the processors
	$(BIN)/python -m pytest -q --numprocesses=auto --dist=loadfile --ignore=tests/hostile
	$(BIN)/python -m pytest -q tests/hostile

MINUTES ?= 30
# Of the first schedule of chaos; each run of it begins with another one.
SEED ?= $(shell date +%s)
soak: $(VENV)/ready ## Run the long tests: calls under faults, random schedules, MINUTES=30 of attacks, and of chaos
	SOAK=1 $(BIN)/python -m pytest -q tests/upstream/test_executions.py tests/oracle
	$(BIN)/python -m tests.hostile --minutes $(MINUTES)
	PYTHONPATH=generated $(BIN)/python -m tests.chaos --minutes $(MINUTES) --seed $(SEED)

interop: $(VENV)/ready ## Build the clients of examples/, and kill and drain a gateway beside them
	@$(BIN)/python -m tests.interop

# Atheris has no wheels for some systems, so it is installed where it is needed alone.
fuzz: $(VENV)/ready ## Fuzz what reads bytes from outside, each reader for MINUTES=30
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target .cache/fuzz/lib atheris
	PYTHONPATH=.cache/fuzz/lib:generated $(BIN)/python -m tests.fuzz --minutes $(MINUTES)

bench: $(VENV)/ready ## Measure, beside the floor and the peers; writes bench/results.json
	$(BIN)/python -m bench

profile: $(VENV)/ready ## Show what a call costs: a table and a flame graph in .cache/profile
	$(BIN)/python -m bench profile

lint: $(VENV)/ready proto-check ## Check style, types, protos, and that generated/ is up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/buf format --diff --exit-code protos
	$(BIN)/buf lint
	$(BIN)/python -m tools.breaking

breaking: $(VENV)/ready ## Show what of the protos would break clients of the last release
	@$(BIN)/python -m tools.breaking

breaking-baseline: $(VENV)/ready ## Let the protos as they are stand for the last release, until there is one
	@$(BIN)/python -m tools.breaking --baseline

format: $(VENV)/ready ## Put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/buf format --write protos

proto: $(VENV)/ready ## Regenerate generated/ from protos/
	rm -rf generated docs/service-config
	$(call generate,generated)
	$(call make_service_config,docs/service-config)

proto-check: $(VENV)/ready
	@rm -rf .cache/generated
	@$(call generate,.cache/generated)
	@diff -r -x __pycache__ generated .cache/generated \
	  || { echo 'generated/ is not what protos/ says: run `make proto` and commit the result' >&2; exit 1; }
	@rm -rf .cache/service-config
	@$(call make_service_config,.cache/service-config)
	@diff -r docs/service-config .cache/service-config \
	  || { echo 'docs/service-config/ is not what protos/ says: run `make service-config` and commit the result' >&2; exit 1; }

docs: $(VENV)/ready ## Build the site of docs/ into .cache/site, with its links checked
	@rm -rf .cache/site
	@$(BIN)/python -m tools.site .cache/site

reference: $(VENV)/ready ## Write the reference of the API, docs/reference.md and docs/reference/, from protos/
	PYTHONPATH=generated $(BIN)/python -m tools.reference docs

service-config: $(VENV)/ready ## Regenerate docs/service-config/, which gRPC clients load, from protos/
	rm -rf docs/service-config
	$(call make_service_config,docs/service-config)

protos-archive: $(VENV)/ready ## Write dist/conferencing-protos-VERSION.tar.gz: protos, Google's, descriptors
	@$(BIN)/python -m tools.archive dist

dist: $(VENV)/ready ## Make a release in dist/: packages, protos, descriptors, bill of materials, checksums
	@rm -rf dist
	@$(BIN)/python -m tools.release dist

api: $(VENV)/ready ## Regenerate the sandbox's API table from the provider's SDK
	$(BIN)/python -m tools.api gateway/sandbox/api.json

rules: $(VENV)/ready ## Write the alert rules as the Prometheus operator wants them
	$(BIN)/python -m tools.rules deploy/prometheus/alerts.yaml deploy/kubernetes/monitoring/prometheus-rule.yaml

drift: $(VENV)/ready ## Compare that table and the protos with the newest SDK (needs the network)
	@rm -rf .cache/drift && $(PYTHON) -m venv .cache/drift
	@.cache/drift/bin/python -m pip install --quiet --disable-pip-version-check telnyx
	@.cache/drift/bin/python -m tools.api .cache/drift/api.json
	@$(BIN)/python -m tools.drift gateway/sandbox/api.json .cache/drift/api.json

COMPILE := .cache/lock/bin/uv pip compile --quiet --universal --no-header --python-version 3.11

.cache/lock/bin/uv:
	@$(PYTHON) -m venv .cache/lock
	@.cache/lock/bin/pip install --quiet uv

lock: .cache/lock/bin/uv ## Take up new versions of the dependencies into requirements.lock
	$(COMPILE) --upgrade --group bench --output-file requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory lock-image

# With hashes, so that what is in an image is what was locked: for what the gateway needs, and for
# what its wheel is built with.
lock-image: .cache/lock/bin/uv ## Write the image's own lock files from requirements.lock
	$(COMPILE) --generate-hashes --constraints requirements.lock --output-file deploy/requirements.lock pyproject.toml
	$(COMPILE) --generate-hashes --constraints requirements.lock --output-file deploy/build.lock --group build

clean: ## Remove everything that was made, the environment too
	rm -rf .venv .cache .gateway .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Names and versions are pinned; a changed pin or project file brings the environment up to date.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say which with: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV) (about a minute, once) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

define make_service_config
PYTHONPATH=generated $(BIN)/python -m tools.service_config $(1)
endef

define generate
mkdir -p $(1) && $(BIN)/python -m grpc_tools.protoc -I protos -I $(GOOGLEAPIS) \
  --plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
  --python_out=$(1) --mypy_out=quiet:$(1) $(PROTOS) \
  && $(BIN)/python -m grpc_tools.protoc -I protos -I $(GOOGLEAPIS) \
  --plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
  --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(SERVICES) \
  && touch $(1)/conferencing/v1/py.typed
endef
