# Two commands to know: `make run` starts the server with demo data, `make test` runs every test.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet

FUZZ_SECONDS ?= 600

.PHONY: setup run test check contract mutants fuzz verification-cost lock clean

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

test: $(VENV)/dev.stamp ## run every test
	$(BIN)/pytest

check: $(VENV)/dev.stamp ## lint, types and the contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sessions-api check --contract-only

contract: $(VENV)/dev.stamp ## ask a server process 5,000 questions from its contract, on SQLite and on PostgreSQL
	$(BIN)/python -W ignore -m tests.contract.fuzz --seeds 3 --examples 250 --least 5000

fuzz: $(VENV)/dev.stamp ## the same for as long as one likes: make fuzz FUZZ_SECONDS=3600
	$(BIN)/python -W ignore -m tests.contract.fuzz --seconds $(FUZZ_SECONDS)

mutants: $(VENV)/dev.stamp ## make seeded mistakes in the security path, each of which a test has to notice
	$(BIN)/python -m tests.mutants

verification-cost: $(VENV)/dev.stamp ## what it costs to verify a token, by algorithm, when it comes first and again
	$(BIN)/python -W ignore -m bench.verification

lock: $(VENV)/dev.stamp ## write the lock files anew from pyproject.toml: versions and hashes, no addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group run --output-file requirements/run.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --group dev --constraint requirements/run.txt --output-file requirements/dev.txt pyproject.toml

clean: ## remove the environment and every cache
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
