# Antiphon. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-test run test check format lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup ## set everything up and start the server; Ctrl-C stops it
	@$(BIN)/antiphon up $(ARGS)

test: setup-test ## set up and run every test
	@$(BIN)/python -m pytest $(ARGS)

check: setup-test ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup-test ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: $(VENV)/.run-stamp ## virtual environment, packages and models
	@$(BIN)/antiphon models pull

setup-test: setup $(VENV)/.test-stamp

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Antiphon needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
	       "Install one and run: make run PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Creating the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run-stamp: requirements/run.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing packages (about 600 MB the first time)"
	$(PIP) install --require-hashes -r requirements/run.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test-stamp: requirements/test.lock $(VENV)/.run-stamp
	$(PIP) install --require-hashes -r requirements/test.lock
	@touch $@

LOCK = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet pyproject.toml

lock: setup-test ## resolve the dependencies again
	$(LOCK) $(UPGRADE) --extra build --extra embedded --extra supervise -o requirements/run.lock
	$(LOCK) $(UPGRADE) --extra build --extra embedded --extra supervise --extra test --extra dev \
	  -o requirements/test.lock

clean: ## remove what `make` made here (not the model cache)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
