# Everything that is done with this repository. `make` alone lists it.
# Needs git, make and Python >= 3.11 with venv; pip is the only thing that goes to the network.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CODE   := scheduler tests hack charts $(wildcard benchmarks)
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# Options for the command behind a target, such as: make demo ARGS="--seconds 10"
ARGS   ?=
IMAGE  ?= equipoise:$(shell sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)
UV_VERSION := 0.13.9
NODE_PACKAGES := runc containernetworking-plugins buildah debootstrap nftables busybox-static \
  iproute2 util-linux prometheus shellcheck
LOCKED := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo cluster-demo test controlplane test-cluster verify-card check format bench bench-cluster docs verify-docs docs-site dashboards test-rules watch-demo chart-tools test-chart base image node-packages node-build node-images node test-node kind kind-delete lock clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Install into .venv what requirements.lock pins

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is no Python 3.11 or newer; name one, such as: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) has no venv; install it with: apt-get install python3-venv" >&2; exit 2; }
	@echo "Installing into $(VENV) what requirements.lock pins, and then Equipoise itself"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Watch an embedded cluster share its GPUs (ARGS="--seconds 20 --no-web")
	@$(BIN)/equipoise demo $(ARGS)

cluster-demo: controlplane $(STAMP) ## Watch a real control plane share them (ARGS="--seconds 30 --no-web")
	@$(BIN)/python -m hack.clusterdemo $(ARGS)

test: check ## Check, then run all tests (ARGS="-k ledger")
	@$(BIN)/python -m pytest --numprocesses auto $(ARGS)

controlplane: ## Build a real control plane for tests: takes Go, ten minutes the first time
	@./hack/controlplane/build.sh build/controlplane

test-cluster: controlplane $(STAMP) ## Run the tests that need a real API server and kube-scheduler
	@$(BIN)/python -m pytest tests/cluster --numprocesses 2 --dist loadfile $(ARGS)

image: ## Build the image with docker, podman or buildah (IMAGE=registry.example.com/equipoise:1)
	@./hack/image/build.sh $(IMAGE)

node-packages: ## Install the Debian packages that a real node and its Prometheus take (as root)
	@apt-get update --quiet --quiet
	@DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends \
	  $(NODE_PACKAGES) >/dev/null

node-build: ## Build kubelet, containerd, helm and others: takes Go, ten minutes the first time
	@./hack/node/build.sh build/node

node-images: controlplane ## Make the images that run on the node
	@./hack/node/images.sh build/node build/controlplane

node-former: controlplane ## Make them, and the image and chart of the release before, for an upgrade
	@./hack/node/images.sh build/node build/controlplane former

node: node-build node-images $(STAMP) ## Run a real node with Equipoise on it, until Ctrl-C (as root)
	@$(BIN)/python -m hack.node up

test-node: node-build node-former $(STAMP) ## Run the tests that need a real node (as root)
	@$(BIN)/python -m hack.node run $(BIN)/python -m pytest tests/node $(ARGS)

verify-card: $(STAMP) ## Check what is assumed of GPUs on a real one (ARGS="--card 1 --fault")
	@$(BIN)/python -m hack.verify_card $(ARGS)

check: $(STAMP) ## Format, lint, types, layers, sizes, generated docs
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m hack.sizes
	@$(MAKE) --no-print-directory verify-docs

format: $(STAMP) ## Format the code, and repair what can be repaired
	@$(BIN)/ruff check --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

bench: $(STAMP) ## Run every benchmark (docs/benchmarks.md says what they measure)
	@set -e; for file in $(sort $(wildcard benchmarks/*.py)); do \
	  echo "== $$file"; $(BIN)/python $$file $(ARGS); done

bench-cluster: controlplane $(STAMP) ## Measure rates on a real control plane (ARGS="--only rates --nodes 5000")
	@$(BIN)/python -m benchmarks.cluster $(ARGS)

docs: $(STAMP) ## Write the generated pages anew
	@$(BIN)/python -m hack.docs

dashboards: $(STAMP) ## Write Grafana's dashboards anew
	@$(BIN)/python -m hack.dashboards

test-rules: $(STAMP) ## Play the alerts through: takes promtool
	@command -v promtool >/dev/null || \
	  { echo "promtool is missing; install it (on Debian: apt-get install prometheus)" >&2; exit 2; }
	@$(BIN)/python -m pytest tests/dashboards $(ARGS)

watch-demo: controlplane $(STAMP) ## Have Prometheus watch the demo, and check all queries (ARGS="--pictures docs/images")
	@$(BIN)/python -m hack.dashboards.live $(ARGS)

verify-docs: $(STAMP) ## Fail if a generated page is not what the code says
	@$(BIN)/python -m hack.docs --check
	@$(BIN)/python -m hack.dashboards --check

docs-site: $(STAMP) build/mkdocs/.installed ## Build the documentation into build/site: it needs no network
	@NO_MKDOCS_2_WARNING=1 build/mkdocs/bin/mkdocs --quiet build --strict
	@$(BIN)/python -m hack.docs.offline build/site

build/mkdocs/.installed: hack/docs/requirements.lock
	@test -x build/mkdocs/bin/python || $(PYTHON) -m venv build/mkdocs
	@build/mkdocs/bin/python -m pip --quiet --disable-pip-version-check --no-input install \
	  --require-hashes -r hack/docs/requirements.lock
	@touch $@

chart-tools: ## Build helm: takes Go, minutes the first time
	@./hack/chart/tools.sh build/tools

test-chart: controlplane chart-tools $(STAMP) ## Test the chart, also on a real API server
	@$(BIN)/python -m pytest tests/chart tests/chart/live tests/kind $(ARGS)

base: chart-tools $(STAMP) ## Write deploy/base anew from the chart
	@$(BIN)/python -m hack.chart.render

kind: ## Make a cluster in kind with mocked GPUs, Grafana and samples: takes docker, kind, kubectl, helm
	@./hack/kind/up.sh

kind-delete: ## Take that cluster away
	@./hack/kind/down.sh

lock: ## Resolve dependencies into requirements.lock, those of the documentation beside it
	@test -x build/lock/bin/python || $(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --quiet --disable-pip-version-check install uv==$(UV_VERSION)
	@build/lock/bin/uv pip compile pyproject.toml $(LOCKED) --all-extras --output-file requirements.lock
	@build/lock/bin/uv pip compile hack/docs/requirements.in $(LOCKED) --output-file hack/docs/requirements.lock

clean: ## Remove what was installed, built and cached
	@rm -rf $(VENV) build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find scheduler tests hack -name __pycache__ -type d -prune -exec rm -rf {} +
