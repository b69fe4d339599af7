# Two commands to know: `make run` starts the server with demo data, `make test` runs every test.

PYTHON ?= python3
VENV := .venv
PEERS := .venv-bench
GENERATORS := .venv-sdk
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

LINTERS := tests/contract/node
TYPESCRIPT := tests/sdk/typescript
FUZZ_SECONDS ?= 600

.PHONY: setup run test faults scale check lint-contract contract sdk mutants fuzz bench profile workers verification-cost lock clean

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

setup: $(VENV)/dev.stamp ## make .venv with everything that development needs

run: $(VENV)/run.stamp ## start the server with demo data, and print how to call it
	@exec $(BIN)/sessions-api demo

test: $(VENV)/dev.stamp ## run every test but those that wait long
	$(BIN)/pytest

faults: $(VENV)/dev.stamp ## run the slow tests, in which PostgreSQL, a proxy or the server stops, restarts or goes silent
	$(BIN)/pytest -m slow

scale: $(VENV)/dev.stamp ## how long lists take with a million sessions of three, on both engines (five minutes, 6 GB of disk)
	$(BIN)/python -m tests.scale

check: $(VENV)/dev.stamp lint-contract ## lint, types and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sessions-api check --contract-only

# Spectral and Redocly are installed into an ignored folder, from a lock file. Their exceptions are in $(LINTERS)/*.yaml.
lint-contract: $(VENV)/dev.stamp ## lint the contract: openapi-spec-validator, and Spectral, OWASP and Redocly where node is found
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

contract: $(VENV)/dev.stamp ## ask a server process 5,000 questions from its contract, on SQLite and on PostgreSQL
	$(BIN)/python -W ignore -m tests.contract.fuzz --seeds 3 --examples 250 --least 5000

fuzz: $(VENV)/dev.stamp ## the same for as long as one likes: make fuzz FUZZ_SECONDS=3600
	$(BIN)/python -W ignore -m tests.contract.fuzz --seconds $(FUZZ_SECONDS)

# The generators of Python, Java, C# and Go clients, with what the Python clients import.
$(GENERATORS)/sdk.stamp: requirements/sdk.txt
	@test -x $(GENERATORS)/bin/python || $(PYTHON) -m venv $(GENERATORS)
	@echo "Installing the locked generators of clients into $(GENERATORS) ..."
	@$(GENERATORS)/bin/pip --disable-pip-version-check --quiet install --require-hashes -r requirements/sdk.txt
	@touch $@

$(TYPESCRIPT)/node_modules/.package-lock.json: $(TYPESCRIPT)/package-lock.json
	@echo "Installing the locked generators of TypeScript clients into $(TYPESCRIPT)/node_modules ..."
	@npm ci --prefix $(TYPESCRIPT) --ignore-scripts --no-audit --no-fund --loglevel error
	@touch $@

sdk: $(VENV)/dev.stamp $(GENERATORS)/sdk.stamp ## generate clients into .sdk, and run each against the server
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory $(TYPESCRIPT)/node_modules/.package-lock.json; \
	else \
	  echo "TypeScript clients are left out: there is no node with npm."; \
	fi
	$(BIN)/pytest -m sdk --dist loadfile tests/sdk

mutants: $(VENV)/dev.stamp ## make seeded mistakes in the security path, each of which a test has to notice
	$(BIN)/python -m tests.mutants

workers: $(VENV)/run.stamp $(PEERS)/bench.stamp ## measure one worker beside two
	@$(PEERS)/bin/python -W "ignore:XDG_RUNTIME_DIR is not set" -m bench.workers $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(ONLY),--only $(ONLY))

verification-cost: $(VENV)/dev.stamp ## the cost of the first and of a cached verification of a token, by algorithm
	$(BIN)/python -W ignore -m bench.verification

lock: $(VENV)/dev.stamp ## write the lock files anew from pyproject.toml: versions and hashes, no addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group run --output-file requirements/run.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group dev --constraint requirements/run.txt --output-file requirements/dev.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group bench --constraint requirements/run.txt --output-file requirements/bench.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group sdk --output-file requirements/sdk.txt # without the server, so no pyproject.toml
	command -v npm >/dev/null && for folder in bench/peers/node $(LINTERS) $(TYPESCRIPT); do \
	  npm install --prefix $$folder --package-lock-only --ignore-scripts --loglevel error \
	  && $(BIN)/python -c 'import json, pathlib, sys; file = pathlib.Path(sys.argv[1], "package-lock.json"); lock = json.loads(file.read_text()); [package.pop("funding", None) for package in lock["packages"].values()]; file.write_text(json.dumps(lock, indent=2) + "\n")' $$folder; \
	done || true

clean: ## remove the environment and every cache
	rm -rf $(VENV) $(PEERS) $(GENERATORS) .bench .sdk bench/peers/node/node_modules $(LINTERS)/node_modules $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/.sdk .mypy_cache .ruff_cache .pytest_cache .hypothesis
