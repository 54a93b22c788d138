# All targets work in any folder, with or without root: paths are relative, so spaces in the folder's name are harmless.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
PY := .venv/bin/python
STAMP := .venv/installed
PIP := $(PY) -m pip --disable-pip-version-check
INSTALL := install -q -c constraints.txt

# A virtual environment cannot be moved: if it was created in another folder, it is created again.
ifneq ($(shell cat .venv/made-in 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

.PHONY: help setup run demo test lint docs dist bench crash attack soak fuzz pictures clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: $(STAMP) ## Create .venv and install everything with pinned versions

$(STAMP): pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …" >&2; exit 1; }
	@echo "Installing into .venv …"
	@rm -rf .venv
	@# Some systems ship venv without pip inside; their own pip can then fill the environment.
	@$(PYTHON) -m venv .venv 2>/dev/null || $(PYTHON) -m venv --clear --without-pip .venv
	@pip="$(PIP)"; $$pip --version >/dev/null 2>&1 || pip="$(PYTHON) -m pip --disable-pip-version-check --python $(PY)"; \
	$$pip $(INSTALL) hatchling editables && $$pip $(INSTALL) --no-build-isolation -e '.[dev]'
	@printf '%s\n' "$$PWD" > .venv/made-in
	@touch $(STAMP)

run: $(STAMP) ## Start a gate on 127.0.0.1:8480 with its data in ./goodsgate-data, and print a first key
	@exec $(PY) -m goodsgate serve --store goodsgate-data --first-merchant main

demo: $(STAMP) ## Submit a real feed with errors to a temporary gate and show the results
	@exec $(PY) demo/run.py

test: $(STAMP) ## Run all tests, several at a time
	@exec $(PY) -m pytest -m "not slow" -n auto --maxprocesses 5 --dist loadfile --no-loadscope-reorder

lint: $(STAMP) ## Check style and types
	@$(PY) -m ruff check .
	@$(PY) -m mypy --strict

docs: $(STAMP) ## Build the documentation as a site in build/docs/site
	@$(PY) docs/site/build.py

dist: $(STAMP) ## Build the packages of the gate and its client into dist
	@rm -rf dist
	@$(PY) -m hatchling build -d dist
	@cd clients/python && ../../$(PY) -m hatchling build -d ../../dist
	@cp constraints.txt dist

bench: $(STAMP) ## Measure speed and memory as ratios to ceilings of the same run
	@exec $(PY) -m bench

crash: $(STAMP) ## Run the crash tests for longer (KILLS=100)
	@GOODSGATE_TEST_KILLS=$${KILLS:-100} exec $(PY) -m pytest --timeout 3600 tests/crash tests/hosts

attack: $(STAMP) ## Attack a gate with hostile clients, files and requests (REQUESTS=100000)
	@exec $(PY) -m bench.attack --requests $${REQUESTS:-100000}

soak: $(STAMP) ## Load a gate for MINUTES=30 and see that its memory does not grow
	@exec $(PY) -m bench.soak --minutes $${MINUTES:-30} --share $${SHARE:-1}

fuzz: $(STAMP) ## Run the fuzz tests, the tests of properties and those marked slow, for longer
	@GOODSGATE_TEST_FUZZ=long $(PY) -m pytest --timeout 3600 tests/protocols tests/console -k fuzz
	@GOODSGATE_TEST_FUZZ=long $(PY) -m pytest --timeout 3600 -n auto --dist loadfile \
		$$(grep -rlE 'effort\.(examples|SHARES)' tests --include='test_*.py')
	@$(PY) -m pytest --timeout 3600 -m slow tests

pictures: $(STAMP) ## Take the pictures of the console in docs/ again (needs Chromium)
	@exec $(PY) -m tests.browser.pictures

clean: ## Remove .venv, caches and builds; data stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
