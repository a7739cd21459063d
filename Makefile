# Everything a contributor or a visitor runs. Needs Python >= 3.11 and make; the rest is set up in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: help setup demo test test-slow conformance check fmt bench clean
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## prepare .venv with the command argosy in it
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "argosy needs Python 3.11 or newer, $(PYTHON) is older; run: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing argosy and what it is tested with"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(BIN)/python -m compileall -q src  # pip does it for all but what is installed in place
	@touch $(STAMP)

demo: setup ## a language model's whole life on this machine, from nothing to a chat app
	$(BIN)/argosy demo

test: setup ## the tests
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: setup ## the tests that take minutes: the demo at every isolation level, crashes, floods
	$(BIN)/python -m pytest -q -m slow

conformance: setup ## the conformance suite on a fresh engine, or on any cluster: make conformance KUBECONFIG=FILE
	$(BIN)/python -m pytest -q tests/conformance $(if $(KUBECONFIG),--kubeconfig $(KUBECONFIG))

check: setup ## style, types, layers
	$(BIN)/ruff format --check src tests scripts
	$(BIN)/ruff check src tests scripts
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_tidy.py

fmt: setup ## let ruff mend what it can
	$(BIN)/ruff format src tests scripts
	$(BIN)/ruff check --fix src tests scripts

bench: setup ## measure, each figure beside its peer or limit
	$(BIN)/python scripts/bench.py

clean: ## remove what setup and the tools made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
