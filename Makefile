# Handrail. `make up` starts everything, `make test` tests everything; `make` alone lists the rest.

PYTHON ?= python3
# Added to every port of the simulated world and its stack, e.g. make up PORT_OFFSET=100
PORT_OFFSET ?=
# The team's file. SIMULATED=1 takes the simulated world even beside a handrail.yaml.
CONFIG ?= $(if $(SIMULATED),,$(wildcard handrail.yaml))
# How many times as many examples make test-slow tries of each property
TIMES ?= 6
# make logs PART=exporter
PART ?=
# docker or native; empty: Docker where an engine answers and the images can be had
RUNTIME ?=

VENV := .venv
STATE := .handrail
RUN := $(VENV)/bin/python -m cli
SIMULATED_CONFIG := $(STATE)/simulated/handrail.yaml
OFFSET = $(or $(PORT_OFFSET),0)
# The drill plays in the world that runs, so it takes over the offset that `make up` was given.
DRILL_OFFSET = $(or $(PORT_OFFSET),$(shell cat $(STATE)/simulated/port-offset 2>/dev/null),0)
WORLD = --port-offset $(OFFSET) $(if $(CONFIG),--config $(CONFIG),--simulated)
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes
LIBRARIES := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
RULES := alerting/rendered
BOARDS := dashboards/rendered
GENERATED := $(RULES) $(BOARDS)

# An environment whose Python was removed is made anew; its stamps must be gone before make looks at them.
$(shell test -x $(VENV)/bin/python || rm -f $(LIBRARIES) $(DEV))
unexport PORT_OFFSET
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help up down status logs foreground drill test test-rules test-slow test-postgresql test-replicas test-checkers test-console test-grafana test-n8n test-faults test-compose bench lint \
	format generate check-generated clean sbom tools tools-3 lock golden-tickets screenshots python

help: ## List what make can do
	@echo "Handrail: production support for AI automations. Begin with: make up"
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS='|' read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done
	@echo
	@echo "  Variables: PYTHON=python3.12  PORT_OFFSET=100  CONFIG=handrail.yaml  SIMULATED=1  RUNTIME=docker  PART=exporter"

up: $(LIBRARIES) ## Start everything, return when every part is healthy
	@$(RUN) stack up $(WORLD) --runtime $(or $(RUNTIME),auto)

down: $(LIBRARIES) ## Stop everything
	@$(RUN) stack down

status: $(LIBRARIES) ## Show how every part is
	@$(RUN) stack status

logs: $(LIBRARIES) ## Show the end of the logs, of one part with PART=exporter
	@$(RUN) stack logs $(PART)

foreground: $(LIBRARIES) ## Start everything and stay until Ctrl-C
	@exec $(RUN) stack foreground $(WORLD)

drill: $(LIBRARIES) ## Inject failures into the simulated world and verify the whole line
ifneq ($(and $(filter file,$(origin CONFIG)),$(CONFIG)),)
	@echo "The drill plays in the simulated world, and this folder has a $(CONFIG). Play it in place of yours for a while:" >&2
	@echo "  make down; make up SIMULATED=1; make drill SIMULATED=1; make down; make up" >&2
	@exit 2
else
	@$(RUN) drill --config $(or $(CONFIG),$(SIMULATED_CONFIG)) --port-offset $(DRILL_OFFSET)
endif

test: $(DEV) ## Run the tests
	@$(RUN) stack tools >/dev/null || echo "Tests that need Prometheus or Alertmanager are going to say so." >&2
	@$(VENV)/bin/python -m pytest tests -m "not n8n and not faults and not slow and not databases and not checkers and not compose and not browser and not grafana" -n auto --dist loadfile --durations=12

test-rules: $(LIBRARIES) ## Prove the rules of CONFIG, or of the example, on every Prometheus unpacked here
	@$(RUN) test-rules --config $(or $(CONFIG),handrail.example.yaml) \
		$(patsubst %,--promtool %,$(wildcard $(STATE)/bin/usr/bin/promtool $(STATE)/bin-3/usr/bin/promtool))

test-slow: $(DEV) ## Run the tests that take a minute each, and every property with many examples
	@$(RUN) stack tools >/dev/null || echo "Tests that need Prometheus or Alertmanager are going to say so." >&2
	@HANDRAIL_TIMES=$(TIMES) $(VENV)/bin/python -m pytest tests -m "(slow or property) and not databases" -n auto --dist load

test-postgresql: $(DEV) ## Run every test of the receiver on PostgreSQL as well
	@$(VENV)/bin/python -m pytest tests/alerting/receiver -m databases -n auto --dist load

# What several receivers on one database rest on; all other tests of the receiver there take several times as long.
test-replicas: $(DEV) ## Run the tests of queues, leases and replicas on PostgreSQL (about 2 minutes)
	@$(VENV)/bin/python -m pytest -m databases -n auto --dist load $(patsubst %,tests/alerting/receiver/test_%.py,\
		replicas outbox queue_machines exactly_one late_writes)

test-checkers: $(DEV) ## Run the checkers of others over everything rendered: pint, mixtool, CRDs (needs Go)
	@$(VENV)/bin/python -m pytest tests/checkers -m checkers -r s

test-console: $(DEV) ## Use the console in a headless Chromium (a minute)
	@$(VENV)/bin/python -m pytest tests/alerting/console -m browser -p no:xdist -r s

# Nothing is fetched: a Grafana on the PATH, or the image of docker-compose.yml where it is on this machine already.
test-grafana: $(DEV) ## Show the dashboards in a real Grafana, where there is one (about 3 minutes)
	@$(VENV)/bin/python -m pytest tests/grafana -p no:xdist -r s

screenshots: $(DEV) ## Take the pictures of the console in docs/images anew (needs Chromium)
	@HANDRAIL_SCREENSHOTS=write $(VENV)/bin/python -m pytest tests/alerting/console -m browser -p no:xdist -k pictures
	@git diff --stat -- docs/images

test-n8n: $(DEV) ## Run the tests against a real n8n
	@$(VENV)/bin/python -m pytest tests/n8n -m n8n -o addopts="--import-mode=importlib -q --strict-markers"

test-compose: $(DEV) ## Run the stack in real containers and break it (7 to 10 minutes; Debian, as root; installs a Docker Engine)
	@$(VENV)/bin/python -m pytest tests/compose -m compose -p no:xdist -v -r s

test-faults: $(DEV) ## Kill the exporter 200 and the receiver 300 times at work, freeze replicas (about 12 minutes)
	@$(RUN) stack tools >/dev/null || echo "This needs Prometheus; the replicas need PostgreSQL." >&2
	@$(VENV)/bin/python -m pytest tests/faults -m faults -p no:xdist

bench: $(DEV) ## Measure speed and size, as ratios (about 10 minutes; leave the machine alone meanwhile)
	@$(VENV)/bin/python -m bench

lint: $(DEV) ## Check style and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(DEV) ## Format the code and mend what can be mended
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

generate: $(LIBRARIES) ## Render handrail.example.yaml into alerting/rendered and dashboards/rendered; docs/openapi.json
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
		&& $(RUN) render --config handrail.example.yaml --to "$$folder" >/dev/null \
		&& rm -rf $(GENERATED) && mkdir -p $(GENERATED) && cp -R "$$folder/dashboards/." $(BOARDS) \
		&& rm -r "$$folder/dashboards" && cp -R "$$folder/." $(RULES)
	@$(VENV)/bin/python -m alerting.receiver.api >docs/openapi.json

check-generated: $(LIBRARIES) ## Fail if what is rendered, or docs/openapi.json, is not what generate would write
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT \
		&& $(RUN) render --config handrail.example.yaml --to "$$folder" >/dev/null \
		&& diff -r "$$folder/dashboards" $(BOARDS) && rm -r "$$folder/dashboards" && diff -r "$$folder" $(RULES) \
		|| { echo "$(GENERATED): out of date: make generate" >&2; exit 1; }
	@$(VENV)/bin/python -m alerting.receiver.api | diff docs/openapi.json - \
		|| { echo "docs/openapi.json is out of date: make generate" >&2; exit 1; }
	@echo "$(GENERATED) and docs/openapi.json are what make generate writes."

clean: ## Stop, and delete what was built; keeps your secrets, your data and the drills' journals
	@if [ -x $(VENV)/bin/python ] && [ -d $(STATE) ]; then $(RUN) stack down; fi
	@cd $(STATE) 2>/dev/null && rm -rf simulated secrets/simulated prometheus alertmanager logs rendered bin bin-3 go containers \
		apt apt-3 docker plan.json state.json runtime.json lock || true
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

sbom: $(LIBRARIES) ## Write what the image is made of (CycloneDX) into dist/sbom.cdx.json
	@$(RUN) stack sbom --to dist/sbom.cdx.json

tools: $(LIBRARIES) ## Find Prometheus and Alertmanager, or unpack them into .handrail/bin
	@$(RUN) stack tools

tools-3: $(LIBRARIES) ## Unpack a newer Prometheus beside them, to test the rules on both (Debian)
	@$(RUN) stack tools --second

golden-tickets: $(DEV) ## Write the tickets' texts anew that the tests compare
	@HANDRAIL_GOLDEN=write $(VENV)/bin/python -m pytest -q tests/alerting/receiver/test_ticket_texts.py
	@git diff --stat -- tests/alerting/receiver/golden

lock: $(DEV) ## Choose the newest versions of all dependencies (needs uv)
	@uv pip compile $(LOCK) --universal -o requirements.lock pyproject.toml
	@printf 'hatchling\nschemathesis\n' | uv pip compile $(LOCK) --universal -o requirements-dev.lock --group dev pyproject.toml -
	@uv pip compile $(LOCK) --python-platform linux -c requirements-dev.lock -o requirements-image.lock --extra postgres pyproject.toml
LOCK := --quiet --upgrade --generate-hashes --no-annotate --no-header --no-emit-index-url --python-version 3.11

$(LIBRARIES): requirements.lock | python
	@echo "Installing Handrail's libraries into $(VENV) …"
	@$(PIP) -r requirements.lock
	@touch $@

$(DEV): requirements-dev.lock | python
	@echo "Installing the test tools into $(VENV) …"
	@$(PIP) -r requirements-dev.lock
	@touch $@ $(LIBRARIES)

# Runs every time, but does nothing when there is an environment that works.
python:
	@if $(VENV)/bin/python -c 'import pip' >/dev/null 2>&1; then exit 0; fi; \
	command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.11 or newer, or name it: make up PYTHON=/path/to/python3" >&2; \
		exit 1; }; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Handrail needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
		echo "Install one (Homebrew: brew install python@3.12) and name it: make up PYTHON=python3.12" >&2; \
		exit 1; }; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its venv module is not installed." >&2; \
		echo "  Debian, Ubuntu:  apt-get install python3-venv" >&2; \
		echo "  Homebrew:        brew install python@3.12, then make up PYTHON=python3.12" >&2; \
		exit 1; }; \
	$(PYTHON) -m venv --clear $(VENV)
