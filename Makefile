# `make help` lists everything. Needs Python 3.11 or newer, make and git; the rest is installed into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench bench-train bench-intake bench-start bench-measure bench-walls bench-audit clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there; set PYTHON=python3.x (3.11 or newer)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.train: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing intramural and its libraries (a few minutes the first time) …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group dev
	@touch $@

$(VENV)/.servers: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group servers
	@touch $@

$(VENV)/.bench: $(VENV)/.train
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group bench
	@touch $@

install: $(VENV)/.train ## Install into .venv what running needs

demo: $(VENV)/.train ## Fine-tune the starter model on made tickets and show the result
	@$(BIN)/python demo/demo.py

test: $(VENV)/.servers ## Everything: the fast gate, integration, acceptance and fault tests
	@$(MAKE) --no-print-directory check
	$(BIN)/python -m pytest -n auto --dist loadfile --durations 30 tests/integration tests/redteam tests/acceptance tests/faults tests/gpu

check: $(VENV)/.dev ## The fast gate: format, lint, types, imports, unit and architecture tests
	$(BIN)/ruff format --check src tests bench demo docs
	$(BIN)/ruff check src tests bench demo docs
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist loadfile tests/unit tests/architecture

format: $(VENV)/.dev ## Format the code and mend what can be mended
	$(BIN)/ruff format src tests bench demo docs
	$(BIN)/ruff check --fix src tests bench demo docs

bench: bench-start bench-walls bench-audit bench-intake bench-train bench-measure ## Every benchmark

bench-train: $(VENV)/.bench ## Training speed against TRL, and LLaMA-Factory when installed; CURVE=200: the loss curves
	$(BIN)/python bench/bench_train.py $(if $(CURVE),--curve $(CURVE))

bench-intake: $(VENV)/.bench ## Intake speed against plain json.loads, the rules against Presidio's
	$(BIN)/python bench/bench_intake.py

bench-start: $(VENV)/.train ## Start-up of the command line and of a run, cold and warm
	$(BIN)/python bench/bench_start.py

bench-walls: $(VENV)/.train ## What it costs to start a confined process
	$(BIN)/python bench/bench_walls.py

bench-audit: $(VENV)/.train ## What an act costs, and verifying a trail of a million entries
	$(BIN)/python bench/bench_audit.py

bench-measure: $(VENV)/.bench ## Measuring 10 million job records against pandas
	$(BIN)/python bench/bench_measure.py

clean: ## Remove the environment, the demo's files and caches
	rm -rf $(VENV) .demo .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
