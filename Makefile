# `make demo` and `make test` do all their set-up; they need git, make and Python 3.11, 3.12 or 3.13.

VENV ?= .venv
WORKERS ?= logical
DATA ?= $(if $(SPECTRALOOM_DATA_DIR),$(SPECTRALOOM_DATA_DIR),../shared/data)
# Further arguments for the command that a target runs, e.g. make test ARGS="-k rebin".
ARGS ?=

BIN := $(VENV)/bin
# The build back end is locked too; newer pips take its versions from the second variable.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test install lint types docs bench test-all-pythons clean python

help: ## Show this list
	@echo "Spectraloom. Targets (each installs what it needs into $(VENV)):"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' Makefile
	@echo "Variables: PYTHON=python3.13  ARGS='further arguments'  WORKERS=4  DATA=folder  VENV=folder"

demo: $(VENV)/.core ## Run the whole analysis on simulated spectra, to an HTML report
	$(BIN)/spectraloom demo $(ARGS)

test: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal $(ARGS)

install: $(VENV)/.dev ## Install Spectraloom for development

lint: $(VENV)/.dev ## Check style, formatting and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

docs: $(VENV)/.docs ## Build the documentation; a warning is an error
	@rm -rf docs/_api # pages of names that are gone would be orphans
	$(BIN)/python -m sphinx -W --keep-going -b html $(ARGS) docs docs/_build/html

bench: $(VENV)/.core ## Run the benchmark on the GAMMA_FLOW example data found in DATA
	@test -n "$(BENCH_DATA)" || { echo "no example_dataset*.zip in $(DATA)/gamma_flow:" \
	    "set SPECTRALOOM_DATA_DIR, or DATA=, to the folder that holds gamma_flow/" >&2; exit 2; }
	@mkdir -p bench-results
	$(BIN)/spectraloom bench gamma-flow --data "$(BENCH_DATA)" \
	    --json bench-results/gamma-flow.json $(ARGS)

# The whole data set sorts before its halves ('.' before '_').
BENCH_DATA = $(firstword $(sort $(wildcard $(DATA)/gamma_flow/example_dataset*.zip)))

test-all-pythons: ## Run all tests on each of Python 3.11, 3.12 and 3.13 that is found
	@found=; failed=; \
	for version in 3.11 3.12 3.13; do \
	    if python=$$(scripts/find-python $$version); then \
	        echo "== Python $$version"; \
	        found="$$found $$version"; \
	        $(MAKE) test VENV=.venvs/$$version PYTHON="$$python" || failed="$$failed $$version"; \
	    else \
	        echo "== Python $$version not found"; \
	    fi; \
	done; \
	echo "tested:$${found:- none}; failed:$${failed:- none}"; \
	test -n "$$found" && test -z "$$failed"

clean: ## Remove environments, caches and what was built; benchmark results stay
	rm -rf .venv .venvs build dist docs/_build docs/_gallery docs/_api spectraloom-demo
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# -- the environment: one folder, a stamp for each set of extras ---------------------------

python:
	@scripts/make-venv "$(VENV)" "$(PYTHON)"

$(VENV)/.core: pyproject.toml constraints.txt | python
	$(BIN)/python -m pip install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | python
	$(BIN)/python -m pip install -e ".[dev]"
	@touch $(VENV)/.core $@

$(VENV)/.docs: pyproject.toml constraints.txt | python
	$(BIN)/python -m pip install -e ".[docs]"
	@touch $(VENV)/.core $@
