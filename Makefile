# Two commands are enough on a new machine: `make demo` and `make test`.
# PYTHON is the interpreter the virtual environment is made with; VENV is where.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test soak versions wheel lint format bench schema clean

help:
	@echo "make demo    the whole thing in a throwaway repository"
	@echo "make test    all tests"
	@echo "make soak    what takes long: SOAK=2000 series of steps over git, whole histories, whole tables"
	@echo "make versions  the same with older Dagster: VERSIONS='1.7.16 1.9.13'"
	@echo "make wheel   build it, and try the wheel without the sources"
	@echo "make lint    ruff, mypy, docstrings, import-linter, shellcheck, zizmor"
	@echo "make format  format the code"
	@echo "make bench   what it costs, side by side"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev --editable .
	@touch $@

# Makes an environment of its own in the folder of the target, with these arguments of pip's.
define ENVIRONMENT
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(@D)/bin/python -m pip install --quiet $(1)
	@touch $@
endef

# DVC for some tests; its dependencies conflict with those of Dagster.
$(VENV)/dvc/.ready: $(READY)
	$(call ENVIRONMENT,--group dvc)

# What a deployment of Dagster has: a webserver, and PostgreSQL.
$(VENV)/deployment/.ready: $(READY)
	$(call ENVIRONMENT,--group deployment --editable .)

demo: $(READY)
	$(BIN)/raw-trigger demo

test: $(READY) $(VENV)/dvc/.ready
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

SOAK ?= 2000
# One test at a time: a few of them take most of an hour each.
ONE_BY_ONE := --numprocesses 2 --dist load --maxschedchunk 1
soak: $(READY) $(VENV)/deployment/.ready
	RAW_TRIGGER_SOAK=$(SOAK) $(BIN)/python -m pytest $(ONE_BY_ONE) -k "nothing or operations or every_commit or companies" \
		tests/git/test_machine.py tests/git/test_checker.py tests/git/test_shapes.py tests/ci/test_interleaved.py tests/git/test_rows_machine.py tests/git/test_tracked_machine.py tests/git/test_contents.py tests/git/test_counting.py tests/ledger/test_processes.py \
		tests/e2e/test_framework.py tests/e2e/test_hooks.py tests/e2e/test_history.py
	RAW_TRIGGER_SOAK=$(SOAK) $(BIN)/python -m pytest $(ONE_BY_ONE) -m soak

# The Dagster versions to try, each in an environment of its own; before 1.7 there are no sensors.
VERSIONS ?= 1.5.14 1.7.16 1.9.13
OLD := $(VERSIONS:%=$(VENV)/dagster-%)
WITH_SENSORS := $(filter-out $(VENV)/dagster-1.5.% $(VENV)/dagster-1.6.%,$(OLD))
SENSORS := test_sensor.py test_schedule.py test_checks.py test_quality.py
empty :=
space := $(empty) $(empty)
versions: $(READY) $(OLD:%=%/.ready)
	RAW_TRIGGER_DAGSTER_PYTHONS=$(subst $(space),:,$(OLD:%=$(CURDIR)/%/bin/python)) \
		$(BIN)/python -m pytest tests/dagster/test_versions.py tests/dagster/test_never_made.py
	set -e; for one in $(WITH_SENSORS); do $$one/bin/python -m pytest -W ignore $(SENSORS:%=tests/automation/%); done

$(VENV)/dagster-%/.ready: $(READY)
	$(call ENVIRONMENT,--group versions --editable . "dagster==$*")

# Runs away from the sources, so that Python can import only the wheel.
wheel:
	rm -rf dist build/wheel
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/pip install --quiet build
	build/wheel/bin/python -m build --outdir dist .
	build/wheel/bin/pip install --quiet "$$(echo dist/*.whl)[dagster]"
	cd build/wheel && bin/raw-trigger demo --help >/dev/null && bin/raw-trigger demo

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.docstrings
	$(BIN)/lint-imports
	$(BIN)/shellcheck hooks/* .github/actions/*/*.sh
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/zizmor --offline --strict-collection --quiet .github
	$(BIN)/pre-commit validate-config .pre-commit-config.yaml
	$(BIN)/pre-commit validate-manifest .pre-commit-hooks.yaml

format: $(READY)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m tests.bench

schema: $(READY)
	$(BIN)/python -m raw_trigger.config.schema

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
