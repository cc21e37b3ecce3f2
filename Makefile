# Run `make` to see what there is.
.DEFAULT_GOAL := help
.PHONY: help run test test-long bench bench-quick bench-peers torture torture-long screenshots check fix types docs trace lock wheel clean machine page-packages
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
MADE := $(VENV)/.made
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
STEP := tools/step.sh
PYTEST := $(BIN)/pytest -n auto --dist worksteal

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: $(MADE)/run ## Install what is needed, build the page, start the server (TALEKEEPER_… variables are obeyed)
	@$(BIN)/python tools/page.py build 2>$(MADE)/page.log || { [ $$? = 3 ] || { cat $(MADE)/page.log >&2; exit 1; }; \
		echo 'This machine has no Node to build the page with: installing one into $(VENV).'; \
		tools/install.sh -r requirements/node.txt && $(BIN)/python tools/page.py build; }
	@tools/weights.sh
	@echo 'Starting the server. Ctrl-C stops it.'
	@exec $(BIN)/talekeeper serve

test: $(MADE)/test machine ## Install what the tests need, then run every check and every test
	@$(STEP) 'Formatting and lint' $(MAKE) --no-print-directory lint
	@$(STEP) 'Types' $(BIN)/basedpyright
	@$(STEP) 'Import contracts' $(BIN)/lint-imports --no-logo
	@$(STEP) 'The page: lint and types' $(BIN)/python tools/page.py npm run --silent check
	@$(STEP) 'The page: types made from openapi.json' $(BIN)/python tools/page.py npm run --silent types -- --check
	@$(STEP) 'The page: tests' $(BIN)/python tools/page.py npm test --silent
	@$(STEP) 'The page: build' $(BIN)/python tools/page.py build
	@$(STEP) 'The built-in model, for the tests' $(BIN)/talekeeper model add --data-dir $(VENV)/test-data
	@$(STEP) 'Tests' $(PYTEST)

test-long: $(MADE)/test machine ## Every test, the long ones too
	@$(BIN)/python tools/page.py build
	@$(BIN)/talekeeper model add --data-dir $(VENV)/test-data
	@$(STEP) 'Tests, the long ones too' $(PYTEST) --long

torture: $(MADE)/run ## Kill, starve and corrupt servers of its own for a minute, and count what was lost
	@$(BIN)/talekeeper torture

torture-long: $(MADE)/run ## The same for hours, as before a release; writes torture.json
	@$(BIN)/talekeeper torture --long --report torture.json

screenshots: $(MADE)/test machine ## A picture of every state of the page, in every size and theme, into screenshots/
	@$(BIN)/python tools/page.py build
	@$(STEP) 'Pictures' $(PYTEST) tests/browser/test_appearance.py --long

check: $(MADE)/test ## Formatting, lint, types, import contracts, the page's checks
	@$(STEP) 'Formatting and lint' $(MAKE) --no-print-directory lint
	@$(STEP) 'Types' $(BIN)/basedpyright
	@$(STEP) 'Import contracts' $(BIN)/lint-imports --no-logo
	@$(STEP) 'The page: lint and types' $(BIN)/python tools/page.py npm run --silent check
	@$(STEP) 'The page: types made from openapi.json' $(BIN)/python tools/page.py npm run --silent types -- --check

.PHONY: lint
lint:
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/ruff check .

fix: $(MADE)/test ## Mend what formatters and linters can mend
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
	@$(BIN)/python tools/page.py npm run fix

types: $(MADE)/test ## Write openapi.json from the routes, and the page's types from it
	@$(BIN)/python tools/openapi.py
	@$(BIN)/python tools/page.py npm run types

docs: $(MADE)/test ## Write docs/reference/settings.md from the settings
	@$(BIN)/python tools/settings_reference.py


bench: $(MADE)/test machine ## Measure every figure against its reference, write docs/reference/figures.md (6 minutes, alone)
	@$(BIN)/python tools/page.py build
	@$(BIN)/python -m benchmarks --docs

bench-quick: $(MADE)/test machine ## The same, small: for trying, not for judging
	@$(BIN)/python tools/page.py build
	@$(BIN)/python -m benchmarks --quick

bench-peers: $(MADE)/test ## Whole turns against SillyTavern and Open WebUI, which are installed into ~/.cache (8 GB)
	@$(BIN)/python -m benchmarks.peers

trace: $(MADE)/test ## Write docs/traceability.md from the tests' marks
	@$(BIN)/python tools/traceability.py

lock: $(MADE)/venv ## Write requirements/*.txt anew from pyproject.toml
	@tools/lock.sh

wheel: $(MADE)/run ## Build the wheel, the page inside, into dist/
	@tools/install.sh -r requirements/node.txt
	@$(BIN)/python -m hatchling build -t wheel

clean: ## Remove what was installed and built here (never the data folder)
	rm -rf $(VENV) web/node_modules web/dist dist build .pytest_cache .ruff_cache .hypothesis

machine: $(MADE)/test
	@tools/machine.sh

# What is installed is remembered by a file, which is older than the lock once the lock changes.
$(MADE)/venv: requirements/uv.txt
	@$(if $(PYTHON),,echo 'Talekeeper needs Python 3.11 or newer, and found none. Install one, or name it: make PYTHON=/path/to/python3'; exit 1)
	@echo 'Making a Python environment in $(VENV).'
	@$(PYTHON) -m venv $(VENV) || { \
		echo "This Python cannot make environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt \
		|| echo 'uv is not to be had: pip does its work, more slowly.'
	@mkdir -p $(MADE) && touch $@

$(MADE)/run: requirements/run.txt requirements/build.txt pyproject.toml | $(MADE)/venv
	@echo 'Installing what the server needs.'
	@tools/install.sh -r requirements/run.txt -r requirements/build.txt
	@tools/install.sh --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(MADE)/test: requirements/test.txt $(MADE)/run
	@echo 'Installing what the tests need.'
	@tools/install.sh -r requirements/test.txt
	@touch $@
