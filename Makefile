# Every target sets up what it needs, once, from a Python 3.11 to 3.13 with pip. `make help` lists them.
#   make run ARGS="--symbol ETH/USD"     arguments for the engine's command
#   make PYTHON=/path/to/python3.12 ...  the Python that environments are made from
#   make test JOBS=4 TESTS=tests/test_trading

PYTHON ?=
ARGS ?=
JOBS ?= 2
TESTS ?=
COVERAGE ?= 97
UPGRADE ?=
LEDGER ?=

VENV := .venv
BENCH := .venv-bench
SYSTEM_PATH := $(PATH)
# `dvc` and `python` in the stages' commands are the environment's.
export PATH := $(CURDIR)/$(VENV)/bin:$(SYSTEM_PATH)
unexport PYTHONHOME PYTHONPATH VIRTUAL_ENV

# Nothing phones home, and no library starts threads of its own.
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 90
export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := True
export GX_ANALYTICS_ENABLED := false
export DVC_NO_ANALYTICS := 1
export TF_CPP_MIN_LOG_LEVEL := 3
export OMP_NUM_THREADS := 1

ENVIRONMENT = PATH="$$SYSTEM_PATH" PYTHON="$(PYTHON)" tools/environment.sh
export SYSTEM_PATH

.DEFAULT_GOAL := help
.PHONY: help setup run serve ui schedule test check bench skill calibration lock clean again

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile
	@echo "The first one also sets up .venv (about 3 GB); later ones start at once."

setup: $(VENV)/.stamp ## only the set-up

run: $(VENV)/.stamp ## the main job: bars in, judged and registered models out
	@$(VENV)/bin/engine run $(ARGS)

serve: $(VENV)/.stamp ## answer requests for signals
	@$(VENV)/bin/engine serve $(ARGS)

ui: $(VENV)/.stamp ## MLflow and Prefect in the browser, to compare runs
	@$(VENV)/bin/engine ui $(ARGS)

schedule: $(VENV)/.stamp ## retrain whenever the clock says so and new bars are there
	@$(VENV)/bin/engine schedule $(ARGS)

test: $(VENV)/.stamp ## all tests, with branch coverage
	@$(VENV)/bin/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -q $(if $(TESTS),$(TESTS),--cov --cov-report=term:skip-covered --cov-fail-under=$(COVERAGE))

check: $(VENV)/.stamp ## style, types, layers
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

bench: $(BENCH)/.stamp ## speed beside other libraries, in an environment of its own
	@set -e; for script in benchmarks/[a-z]*.py; do \
		name=$$(basename "$$script" .py); echo "== $$name"; $(BENCH)/bin/python -m "benchmarks.$$name" $(ARGS); \
	done

skill: $(BENCH)/.stamp ## how good models are: known, absent and real edges (resumes)
	@set -e; for table in known null real budget; do \
		$(BENCH)/bin/python -m benchmarks.skill $$table --page docs/skill.md $(ARGS); \
	done

calibration: $(VENV)/.stamp ## how often the whole machine promotes: 350 markets whose truth is known (resumes)
	@$(VENV)/bin/python -m benchmarks.calibration --page docs/calibration.md $(ARGS)

# Versions stay as they are where they still fit; UPGRADE=1 takes the newest. One version for all Pythons, and no address
# of an index: whoever runs this may use their own.
COMPILE = tools/uv.sh $(VENV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-annotate --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: ## resolve the lock files anew (UPGRADE=1: to the newest versions)
	@test -x $(VENV)/bin/uv || $(ENVIRONMENT) $(VENV)
	@$(COMPILE) pyproject.toml --extra dev --output-file requirements.lock
	@$(COMPILE) pyproject.toml --extra bench --constraints requirements.lock --output-file requirements-bench.lock
	@echo uv | $(COMPILE) - --output-file requirements-uv.lock
	@grep -c == requirements.lock requirements-bench.lock requirements-uv.lock

STAGES := raw validated features labels tune train backtest audit stress monte_carlo evidence gate register report
clean: ## what runs made, except the ledger of trials and models (LEDGER=1: that too)
	@rm -rf $(addprefix data/,$(STAGES)) dvc.lock .dvc/cache .dvc/tmp workspaces reports
	@rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache .coverage .coverage.* htmlcov
	@find . -path './.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
	@$(if $(LEDGER),rm -rf state; find mlflow -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +)
	@echo "Removed: stage outputs, DVC's cache, workspaces, reports, tools' caches$(if $(LEDGER),$(comma) the ledger (state/ and mlflow/))."
	@echo "Kept: data/sample, data/context, what git tracks, .venv$(if $(LEDGER),, and the ledger (state/ and mlflow/): every trial stays counted)."
comma := ,

# An environment that is missing, unfinished, or was made elsewhere is made again.
whole = $(shell test -x $(1)/bin/python && cat $(1)/.stamp 2>/dev/null)
ifneq ($(call whole,$(VENV)),$(CURDIR))
$(VENV)/.stamp: again
endif
ifneq ($(call whole,$(BENCH)),$(CURDIR))
$(BENCH)/.stamp: again
endif

$(VENV)/.stamp: requirements.lock requirements-uv.lock pyproject.toml
	@$(ENVIRONMENT) $(VENV) requirements.lock project

$(BENCH)/.stamp: requirements-bench.lock requirements-uv.lock
	@$(ENVIRONMENT) $(BENCH) requirements-bench.lock
