# The project's commands. `make run` and `make test` need Python >= 3.11 and make; all else comes with them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Where it is set, as in many containers, each of the hundreds of processes of a test run compiles every module anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test fuzz check lint types imports guard bench growth pools faults faults-short compose-test lock clean help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

run: $(VENV)/.run ## everything in one terminal; PORT, FLOWER_PORT, WORKERS and JOBS_DATA_DIR change it
	@exec $(BIN)/python -m launch

test: $(VENV)/.collected ## every test, against a real server and real workers
	$(BIN)/python -m pytest -n 8 --dist loadscope --no-loadscope-reorder

fuzz: $(VENV)/.dev ## Schemathesis against our OpenAPI document, and odd messages against Celery
	$(BIN)/python -m pytest -n 3 tests/fuzz

check: lint types imports test fuzz guard faults-short ## what CI runs

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports

guard: $(VENV)/.dev ## has a job become dearer? Its CPU time against benchmarks/guard.json, in less than 25 seconds
	$(BIN)/python -m benchmarks.guard

bench: $(VENV)/.dev $(VENV)/.peers ## side by side with stock Flask + Celery, FastAPI + arq and FastAPI + taskiq
	$(BIN)/python -m benchmarks --peers $(VENV)/peers/bin/python

growth: $(VENV)/.dev $(VENV)/.peers ## the same calls with 0, 100,000 and 1,000,000 jobs stored; 1, 2 and 4 worker processes; about 15 minutes
	$(BIN)/python -m benchmarks.growth --peers $(VENV)/peers/bin/python $(if $(WRITE),--write $(WRITE))

pools: $(VENV)/.dev ## which of Celery's pools for which jobs, and what each cannot do; about 9 minutes
	$(BIN)/python -m benchmarks.pools $(if $(WRITE),--write $(WRITE))

faults: $(VENV)/.dev ## kill everything, look whether a job was lost; at most 15 minutes. ROWS=1,5, SEED=7, WRITE=file
	PYTHONPATH=tests $(BIN)/python -m faults $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write $(WRITE))

faults-short: $(VENV)/.dev ## the part of it that every check runs, in less than 100 seconds
	PYTHONPATH=tests $(BIN)/python -m faults --short

compose-test: ## docker-compose.yml, really brought up
	bash tests/compose/run.sh

lock: ## write constraints.txt anew from what setup.cfg resolves to
	rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet '.[dev]'
	$(VENV)/lock/bin/pip freeze --exclude joborchestrator > constraints.txt
	rm -rf $(VENV)/lock

clean: ## remove the venv; the data of `make run` stays
	rm -rf $(VENV)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "joborchestrator needs Python 3.11 or newer on the PATH"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "joborchestrator needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: setup.cfg constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), about a minute, once"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: setup.cfg constraints.txt | $(VENV)/bin/python
	@echo "installing into $(VENV), about a minute, once"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.run

# pytest compiles every test the first time: once here, or else in each of the processes of a run
$(VENV)/.collected: $(VENV)/.dev $(wildcard tests/*.py tests/*/*.py)
	@$(BIN)/python -m pytest --collect-only -q > $@ || { cat $@; rm $@; exit 1; }

$(VENV)/.peers: benchmarks/peers/requirements.txt | $(VENV)/bin/python
	$(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
