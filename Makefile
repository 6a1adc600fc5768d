# PYTHON makes the virtual environment, VENV is where it goes, ARGS goes to
# the program that the target runs (make test ARGS='-k memory').
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
OPENMMLAB_VENV ?= .venv-openmmlab

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow coverage test-openmmlab lint docs clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

setup:  ## make the environment, or finish it
	@$(PYTHON) tools/setup_env.py --venv $(VENV)

demo: setup  ## make a data set, train on it, test, draw pictures
	@$(VENV)/bin/python tools/demo.py $(ARGS)

# One thread per process: waiting threads spin, and take cores from others.
# ARGS='-n 0' is one process.
PYTEST = -m pytest -n auto --maxprocesses 8 --dist loadfile
test test-slow coverage test-openmmlab: export OMP_NUM_THREADS = 1

test: setup  ## run the tests but for the slow ones
	@$(VENV)/bin/python $(PYTEST) -m 'not slow' $(ARGS)

test-slow: setup  ## run the slow tests: kills, fuzzing, browsers, combinations
	@$(VENV)/bin/python $(PYTEST) -m slow $(ARGS)

coverage: setup  ## run all tests; which lines and branches they reach
	@$(VENV)/bin/python $(PYTEST) --cov mmps --cov-branch \
		--cov-report term:skip-covered --cov-report html:build/coverage $(ARGS)

# Of OpenMMLab, with torch 2.1: PYTHON has to be 3.10 or 3.11.
test-openmmlab:  ## run all tests with the original mmdet, in its own environment
	@$(PYTHON) tools/setup_env.py --stack openmmlab --venv $(OPENMMLAB_VENV)
	@$(OPENMMLAB_VENV)/bin/python $(PYTEST) $(ARGS)

lint: setup  ## check style, formatting and the layers of imports
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports --no-logo

docs: setup  ## build the site in build/docs; a broken link is an error
	@rm -rf build/docs
	@$(VENV)/bin/python -m sphinx -b html -W --keep-going -q -c docs \
		-d build/docs/doctrees . build/docs/html $(ARGS)
	@echo 'build/docs/html/index.html'

clean:  ## remove what builds and tools leave; keeps the environment and data
	@rm -rf build dist docs/api *.egg-info mmps/.mim .pytest_cache \
		.ruff_cache .import_linter_cache .hypothesis
	@find mmps tools tests configs -name __pycache__ -prune -exec rm -rf {} +
