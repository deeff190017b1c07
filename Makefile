# Two commands do everything: `make demo` and `make test`. Each prepares .venv first, which is quick the second time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= demo
TYPED := oceanx.tensors,oceanx.physics,oceanx.nn,oceanx.models,oceanx.variational,oceanx.objectives,oceanx.seam,beartype.beartype

.PHONY: demo test venv lint types contracts unit clean

demo: venv
	$(BIN)/oceanx demo $(DEMO)

test: lint types contracts unit

venv: $(READY)

# PyTorch alone and first, so that no other requirement can choose another build of it.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,grib,plot]'
	touch $(READY)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

contracts: venv
	$(BIN)/lint-imports

unit: venv
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --jaxtyping-packages=$(TYPED)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
