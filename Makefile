# Two commands to know: `make run` starts the server with demo data, `make test` runs the tests. `make help` lists all.

PYTHON ?= python3
VENV := .venv
PEERS := .venv-bench
GENERATORS := .venv-sdk
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

LINTERS := tests/contract/node
TYPESCRIPT := tests/sdk/typescript
RECIPES := tests/sdk/recipes
FUZZ_SECONDS ?= 600

.PHONY: help setup run test faults soak scale check fmt lint-contract contract sdk mutants fuzz bench profile workers verification-cost lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' Makefile

# The environment is made anew when the locked requirements or the project's own metadata change.
$(VENV)/run.stamp: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}. Name another: make PYTHON=python3.12 run")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked requirements into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	@echo "Installing the locked development requirements into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/dev.stamp ## install everything that development needs into .venv

run: $(VENV)/run.stamp ## start the server with demo data, and print how to call it
	@exec $(BIN)/sessions-api demo

test: $(VENV)/dev.stamp ## run the tests, except the slow ones
	$(BIN)/pytest

faults: $(VENV)/dev.stamp ## run the slow tests, in which PostgreSQL, a proxy or the server fails
	$(BIN)/pytest -m slow

soak: $(VENV)/dev.stamp ## send 500,000 mixed requests, and compare memory and descriptors before and after
	SOAK_REQUESTS=500000 $(BIN)/pytest -m slow -n 0 tests/faults/test_soak.py

scale: $(VENV)/dev.stamp ## measure lists with a million sessions, on both engines (5 minutes, 6 GB of disk)
	$(BIN)/python -m tests.scale

fmt: $(VENV)/dev.stamp ## format the code, and fix what the linter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: $(VENV)/dev.stamp lint-contract ## run the linters, the type checker and the contract's checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sessions-api check --contract-only
	$(BIN)/python -m tests.contract.compatibility

# Spectral and Redocly are installed into an ignored folder, from a lock file. Their exceptions are in $(LINTERS)/*.yaml.
lint-contract: $(VENV)/dev.stamp ## lint the contract: openapi-spec-validator; Spectral and Redocly where node is found
	$(BIN)/openapi-spec-validator openapi/openapi.yaml
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  set -e; \
	  if ! test $(LINTERS)/node_modules/.package-lock.json -nt $(LINTERS)/package-lock.json; then \
	    echo "Installing the linters of the contract into $(LINTERS)/node_modules ..."; \
	    npm ci --prefix $(LINTERS) --ignore-scripts --loglevel error; \
	    touch $(LINTERS)/node_modules/.package-lock.json; \
	  fi; \
	  $(LINTERS)/node_modules/.bin/spectral lint openapi/openapi.yaml --ruleset $(LINTERS)/spectral.yaml --fail-severity hint; \
	  REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(LINTERS)/node_modules/.bin/redocly lint openapi/openapi.yaml --config $(LINTERS)/redocly.yaml; \
	else \
	  echo "Spectral and Redocly are left out: there is no node with npm."; \
	fi

# The servers to measure against have an environment of their own; Go programs are built by the benchmark where go is found.
$(PEERS)/bench.stamp: requirements/bench.txt bench/peers/node/package-lock.json
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "Installing the servers to measure against into $(PEERS) ..."
	@$(PEERS)/bin/pip --disable-pip-version-check --quiet install --require-hashes -r requirements/bench.txt
	@command -v node >/dev/null && command -v npm >/dev/null && npm ci --prefix bench/peers/node --ignore-scripts --no-audit --no-fund --loglevel error \
	  || echo "Left out: Fastify and Express. There is no node with npm, or npm could not install them."
	@touch $@

# make bench ROUNDS=1 SECONDS=0.3 SESSIONS=5000 ONLY=ours,floor,go,50 takes less than a minute.
bench: $(VENV)/run.stamp $(PEERS)/bench.stamp ## measure the server beside others
	@$(PEERS)/bin/python -W "ignore:XDG_RUNTIME_DIR is not set" -m bench.run $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(ONLY),--only $(ONLY))

profile: $(VENV)/run.stamp $(PEERS)/bench.stamp ## show where the server spends its time
	@$(PEERS)/bin/python -W "ignore:XDG_RUNTIME_DIR is not set" -m bench.profile $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(ONLY),--only $(ONLY))

contract: $(VENV)/dev.stamp ## send 5,000 requests that Schemathesis generates, on SQLite and on PostgreSQL
	$(BIN)/python -W ignore -m tests.contract.fuzz --seeds 3 --examples 250 --least 5000

fuzz: $(VENV)/dev.stamp ## the same for FUZZ_SECONDS
	$(BIN)/python -W ignore -m tests.contract.fuzz --seconds $(FUZZ_SECONDS)

# The generators of Python, Java, C# and Go clients, with what the Python clients import.
$(GENERATORS)/sdk.stamp: requirements/sdk.txt
	@test -x $(GENERATORS)/bin/python || $(PYTHON) -m venv $(GENERATORS)
	@echo "Installing the locked generators of clients into $(GENERATORS) ..."
	@$(GENERATORS)/bin/pip --disable-pip-version-check --quiet install --require-hashes -r requirements/sdk.txt
	@touch $@

# The generators of TypeScript clients, and the tools of docs/ci-recipes.md.
$(addsuffix /node_modules/.package-lock.json,$(TYPESCRIPT) $(RECIPES)): %/node_modules/.package-lock.json: %/package-lock.json
	@echo "Installing the locked packages of $* ..."
	@npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

sdk: $(VENV)/dev.stamp $(GENERATORS)/sdk.stamp ## generate clients into .sdk, and run each against the server
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory $(addsuffix /node_modules/.package-lock.json,$(TYPESCRIPT) $(RECIPES)); \
	else \
	  echo "TypeScript clients, Prism and Newman are left out: there is no node with npm."; \
	fi
	$(BIN)/pytest -m sdk --dist loadfile tests/sdk

mutants: $(VENV)/dev.stamp ## plant bugs in the security code, and verify that a test fails on each
	$(BIN)/python -m tests.mutants

workers: $(VENV)/run.stamp $(PEERS)/bench.stamp ## measure one worker beside two
	@$(PEERS)/bin/python -W "ignore:XDG_RUNTIME_DIR is not set" -m bench.workers $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(ONLY),--only $(ONLY))

verification-cost: $(VENV)/dev.stamp ## measure the verification of a token, by algorithm
	$(BIN)/python -W ignore -m bench.verification

lock: $(VENV)/dev.stamp ## update the lock files from pyproject.toml: versions and hashes, no addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group run --output-file requirements/run.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group dev --constraint requirements/run.txt --output-file requirements/dev.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group bench --constraint requirements/run.txt --output-file requirements/bench.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group sdk --output-file requirements/sdk.txt # without the server, so no pyproject.toml
	command -v npm >/dev/null && for folder in bench/peers/node $(LINTERS) $(TYPESCRIPT) $(RECIPES); do \
	  npm install --prefix $$folder --package-lock-only --ignore-scripts --loglevel error \
	  && $(BIN)/python -c 'import json, pathlib, sys; file = pathlib.Path(sys.argv[1], "package-lock.json"); lock = json.loads(file.read_text()); [package.pop("funding", None) for package in lock["packages"].values()]; file.write_text(json.dumps(lock, indent=2) + "\n")' $$folder; \
	done || true

clean: ## remove the environment and every cache
	rm -rf $(VENV) $(PEERS) $(GENERATORS) .bench .sdk bench/peers/node/node_modules $(LINTERS)/node_modules $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/.sdk $(RECIPES)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
