# Antiphon. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=
JOBS ?= 3
MIN_NODE := 20

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: test-engines test-gpu bench-gpu help setup setup-test browser-models run test test-web check check-web format lock clean chromium screenshots bench-latency bench-turns bench-endpointing bench-sessions reliability stranger autobahn soak bench-web soak-web fuzz-decoder

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  make run LAN=1         also for the other devices of this network, with TLS and a key'
	@echo '  make run SIMULATED=1   without any model: every answer is a 440 Hz tone'
	@echo '  ARGS="..." is passed on, for example: make run ARGS="--port 9000"'

run: $(if $(SIMULATED),$(VENV)/.run-stamp,setup) ## set everything up and start the server; Ctrl-C stops it
	@$(BIN)/antiphon up $(if $(SIMULATED),--simulated) $(if $(LAN),--lan) $(ARGS)

test: setup-test chromium browser-models test-web ## set up and run the tests
	@$(BIN)/python -m pytest -n $(JOBS) -m "not thorough" $(ARGS)

test-thorough: setup-test chromium browser-models ## run the long tests that `make test` leaves out
	@$(BIN)/python -m pytest -m thorough $(ARGS)

bench-latency: setup-test ## measure the wait between a question and its answer
	@$(BIN)/python -m bench.latency $(ARGS)

bench-turns: setup-test ## measure how it waits, answers and yields
	@$(BIN)/python -m bench.turns $(ARGS)

bench-endpointing: setup-test ## compare rules for the end of a turn on recordings
	@$(BIN)/python -m bench.endpointing $(ARGS)

bench-web: setup-test ## measure the page: first paint, gaps in replies, what its buffer adds
	@$(BIN)/python -m bench.web replies $(ARGS)

soak-web: setup-test ## talk to the page for an hour and see whether it grows; ARGS="--minutes 10"
	@$(BIN)/python -m bench.web soak $(ARGS)

fuzz-decoder: setup-test ## send 10,000 damaged packets of compressed audio to a server
	@$(BIN)/python -m pytest tests/integration/test_system_encoded_audio.py -k damaged \
	  --damaged-packets 10000 --timeout 1800 -o log_cli=true -o log_cli_level=INFO $(ARGS)

# Coqui in an environment of its own: torch and what it needs take 3 GB.
ENGINES_VENV := .venv-engines
ENGINES_BIN := $(ENGINES_VENV)/bin
ENGINES_PIP := $(ENGINES_BIN)/python -m pip --disable-pip-version-check install --quiet
TORCH ?= torch==2.13.*

$(ENGINES_VENV)/.stamp: pyproject.toml
	@echo "Installing torch and Coqui into $(ENGINES_VENV) (some minutes the first time)"
	@$(PYTHON) -m venv $(ENGINES_VENV)
	@$(ENGINES_PIP) "$(TORCH)"
	@$(ENGINES_PIP) --no-deps torchaudio torchcodec
	@$(ENGINES_PIP) six editables hatchling blockbuster jiwer pytest pytest-asyncio pytest-timeout pytest-xdist
	@$(ENGINES_PIP) --no-build-isolation -e '.[coqui,embedded,ollama,supervise]'
	@# torchaudio's own libraries are built for CUDA and do not load beside a torch for processors.
	@$(ENGINES_BIN)/python -c "import torch; raise SystemExit(torch.version.cuda is None)" || \
	  for file in $(ENGINES_VENV)/lib/python*/site-packages/torchaudio/lib/*.so; do \
	    [ ! -e "$$file" ] || mv "$$file" "$$file.aside"; done
	@touch $@

test-engines: $(ENGINES_VENV)/.stamp ## hold every engine, Coqui too, to the contract; the report: build/test-engines.xml
	@mkdir -p build
	@$(ENGINES_BIN)/antiphon models pull && $(ENGINES_BIN)/antiphon models pull moonshine-tiny-en
	@$(ENGINES_BIN)/python -m pytest tests/engines tests/workers/test_engine_contract.py \
	  -W default --junit-xml build/test-engines.xml $(ARGS)

# On a graphics card: the same environment, and the cuBLAS that CTranslate2 opens. Without a card the
# tests say so and are skipped, and nothing is installed for them.
ifneq (,$(filter test-gpu bench-gpu,$(MAKECMDGOALS)))
CARD := $(shell nvidia-smi -L 2>/dev/null)
endif
GPU_READY = $(if $(CARD),$(ENGINES_VENV)/.cuda-stamp,$(or $(wildcard $(ENGINES_VENV)/.stamp),setup-test))
GPU_BIN = $(if $(filter setup-test,$(GPU_READY)),$(BIN),$(ENGINES_BIN))
GPU_RUN = LD_LIBRARY_PATH="$$($(GPU_BIN)/python -c 'import nvidia.cublas as n; print(n.__path__[0])' 2>/dev/null)/lib:$$LD_LIBRARY_PATH" \
  $(GPU_BIN)/python -m

$(ENGINES_VENV)/.cuda-stamp: $(ENGINES_VENV)/.stamp
	@$(ENGINES_PIP) --no-build-isolation -e '.[cuda]'
	@$(ENGINES_BIN)/antiphon models pull
	@touch $@

test-gpu: $(GPU_READY) ## run the tests that need an NVIDIA card; ARGS="--device cpu" tries them without
	@$(GPU_RUN) pytest tests/gpu -W default $(ARGS)

bench-gpu: $(GPU_READY) ## measure what a card carries; ARGS="--device cpu" tries it without
	@$(GPU_RUN) bench.gpu $(ARGS)

bench-sessions: setup-test ## measure how many talking sessions one gateway process carries
	@$(BIN)/python -m bench.sessions $(ARGS)

reliability: setup-test ## run the acceptance bars: faults, load, hostile clients (15 min)
	@$(BIN)/python -u tests/reliability $(ARGS)

autobahn: setup-test ## hold the WebSocket to the Autobahn test suite; WSTEST=path of its wstest
	@$(BIN)/python tests/reliability/autobahn.py $(WSTEST)

stranger: setup-test ## run every example and command of the documents from an empty folder (10 min)
	@$(BIN)/python tests/support/stranger.py $(ARGS)

soak: setup-test ## one hour of turns with a fault every 30 s; ARGS="--minutes 5" shortens it
	@$(BIN)/python -u tests/reliability/soak.py $(ARGS)

check: setup-test check-web ## formatting, lint, types, rules of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/rules/test_rules_code.py tests/rules/test_rules_imports.py \
	  tests/rules/test_rules_text.py

screenshots: setup-test chromium ## make docs/screenshots anew from the running page
	@$(BIN)/python docs/screenshots/make.py

format: setup-test ## rewrite what is made by tools: format, fixes, example configuration
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/antiphon config --example > deploy/antiphon.example.toml

setup: $(VENV)/.run-stamp ## virtual environment, packages and models
	@$(BIN)/antiphon models pull
	@if [ -n "$(MODELS)" ]; then $(BIN)/antiphon models pull $(MODELS); fi

setup-test: setup $(VENV)/.test-stamp

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is not installed. Install Python 3.11 or newer, or name one:" \
	       "make run PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Antiphon needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	       "Install one and run: make run PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) lacks its venv module. On Debian and Ubuntu run: apt install python3-venv"; \
	  exit 1; }
	@echo "Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

PIP_FAILED = { echo "Packages could not be installed: pip's message is above." \
  "Check the network and the free disk space (2 GB), then run make again."; exit 1; }

$(VENV)/.run-stamp: requirements/run.lock pyproject.toml $(VENV)/.created
	@echo "Installing packages (a few minutes the first time)"
	@$(PIP) install --require-hashes -r requirements/run.lock || $(PIP_FAILED)
	@$(PIP) install --quiet --no-deps --no-build-isolation -e . || $(PIP_FAILED)
	@touch $@

$(VENV)/.test-stamp: requirements/test.lock $(VENV)/.run-stamp
	@echo "Installing packages for the tests"
	@$(PIP) install --require-hashes -r requirements/test.lock || $(PIP_FAILED)
	@touch $@

# The browser client. Its tests need node, its type check also npm.

NODE_IS_NEW = node -e 'process.exit(parseInt(process.versions.node) < $(MIN_NODE) ? 1 : 0)' 2>/dev/null
SKIP_WEB = echo "Skipping the browser client's $(1): node $(MIN_NODE) or newer and npm are needed"

test-web:
	@if [ ! -f web/package.json ]; then echo "Skipping the browser client's tests: no web/"; \
	elif $(NODE_IS_NEW); then \
	  if command -v npm >/dev/null; then $(MAKE) --silent web/node_modules/.stamp; fi; \
	  cd web && node --test test/*.test.js; \
	else $(call SKIP_WEB,tests); fi

check-web:
	@if [ ! -f web/package.json ]; then echo "Skipping the browser client's check: no web/"; \
	elif $(NODE_IS_NEW) && command -v npm >/dev/null; then \
	  $(MAKE) --silent web/node_modules/.stamp && npm --prefix web run --silent check; \
	else $(call SKIP_WEB,check); fi

web/node_modules/.stamp: web/package-lock.json
	@npm --prefix web ci --no-audit --no-fund --loglevel=error
	@touch $@

browser-models:
	@$(BIN)/antiphon models pull moonshine-tiny-en || \
	  echo "The tests of recognition in the browser will be skipped"

# The browser tests drive the system's Chromium. Root on Debian gets it installed, once.
chromium:
	@for name in chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && grep -qs '^ID=debian' /etc/os-release; then \
	  echo "Installing Chromium for the browser tests (once)"; \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
	    --no-install-recommends chromium; } >/dev/null 2>&1 \
	  || echo "Chromium could not be installed by apt: the browser tests will be skipped"; \
	else \
	  echo "Chromium is not installed: the browser tests will be skipped"; \
	fi

LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet pyproject.toml

lock: setup-test ## resolve the dependencies again; UPGRADE=--upgrade takes the newest
	$(LOCK) $(UPGRADE) --extra build --extra embedded --extra lan --extra supervise --extra ollama \
	  -o requirements/run.lock
	$(LOCK) $(UPGRADE) --extra cuda -c requirements/run.lock -o requirements/cuda.lock
	$(LOCK) $(UPGRADE) --extra build --extra embedded --extra lan --extra supervise --extra ollama --extra otel --extra test --extra dev \
	  -o requirements/test.lock

clean: ## remove what `make` made here (not the model cache)
	rm -rf $(VENV) $(ENGINES_VENV) build web/node_modules .mypy_cache .ruff_cache .pytest_cache
