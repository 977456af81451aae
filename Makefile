# make setup   install into .venv (done by every other target when needed)
# make demo    example photographs set in motion; the last line says where to look
# make studio  the editor in the browser; options: make studio STUDIO_FLAGS="--port 7861"
# make test    the tests          make lint   ruff, biome          make types   pyright, tsc
# make client  the studio's page  make client-test   its tests
# make bench   every benchmark, numbers as JSON in out/benchmarks/
#
# Another interpreter: make PYTHON=python3.12 ...   Another environment: make VENV=/path/to/venv ...
# Options for pip, such as an index with CPU-only torch wheels: make PIP_FLAGS="--extra-index-url ..." setup

PYTHON ?= python3
VENV ?= .venv
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n auto
STUDIO_FLAGS ?=
OUT ?= out

BIN := $(VENV)/bin
STAMP := $(VENV)/.motionloom-installed
CLIENT := $(BIN)/python src/motionloom/studio/client/build.py

.DEFAULT_GOAL := help
.PHONY: help setup demo studio client client-test test lint types bench

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "motionloom needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	MOTIONLOOM_SKIP_CLIENT=1 $(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/motionloom demo --out $(OUT)

studio: client
	@$(BIN)/motionloom studio $(STUDIO_FLAGS)

# Without Node on the system, one from PyPI is installed into the environment.
client: $(STAMP)
	@$(CLIENT) setup
	@$(CLIENT) build

client-test: $(STAMP)
	@$(CLIENT) setup
	@$(CLIENT) test

# One thread per worker: the tests run side by side on all cores.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(CLIENT) lint

types: $(STAMP)
	$(BIN)/pyright --pythonpath $(BIN)/python
	@$(CLIENT) types

bench: $(STAMP)
	@mkdir -p $(OUT)/benchmarks
	@status=0; for script in benchmarks/[a-z]*.py; do \
	  name=$$(basename $$script .py); echo "== $$name"; \
	  $(BIN)/python $$script --json $(OUT)/benchmarks/$$name.json || status=1; \
	done; exit $$status
