# `make demo`: draw a data set, train, score, plot, report. `make test`: tests, ruff, mypy.
# `make test-long`: what takes too long for every time. All make .venv if it is missing.
# `make test-floors`: the tests of what other versions of libraries break, with the lowest versions that pyproject.toml accepts, in
# an environment of its own, $(FLOORS). It needs Python 3.11 or 3.12, and downloads a CUDA build of torch, several GB, once.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
FLOORS := .venv-floors

.PHONY: demo test test-long test-floors clean

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt uv torch
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	touch .venv/ready

demo: .venv/ready
	rm -rf $(DEMO)
	$(BIN)/vocctl download shapes --out $(DEMO)/shapes
	$(BIN)/vocctl train-seg --data $(DEMO)/shapes --config examples/demo.toml --out $(DEMO)/run
	$(BIN)/vocctl eval $(DEMO)/run --checkpoint final
	$(BIN)/vocctl plot $(DEMO)/run
	$(BIN)/vocctl report $(DEMO)/run --out $(DEMO)/report.html
	@echo "Open $(DEMO)/report.html in a browser: scores, plots and a gallery of what was predicted"

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

test-long: .venv/ready
	VOCCTL_LONG=1 $(BIN)/pytest tests/tasks/test_compile.py tests/tasks/test_distributed.py tests/tasks/test_kills.py \
		tests/tasks/test_train_cls.py tests/tasks/test_untrusted_input.py tests/test_packaging.py

# The quick tests of what calls the libraries. The second install must keep what the first one chose, so it has no constraints. Left
# out: tests of plain arithmetic and files, and the tables of docs/commands.md, which differ with typer's version.
test-floors: .venv/ready
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) $(FLOORS)
	$(BIN)/uv pip install --quiet --python $(FLOORS)/bin/python --only-binary :all: --no-binary vocctl \
		--resolution lowest-direct --editable '.[kaggle,lite1,export]'
	$(BIN)/uv pip install --quiet --python $(FLOORS)/bin/python foolbox hypothesis pytest pytest-xdist torchmetrics
	$(BIN)/uv pip list --quiet --python $(FLOORS)/bin/python | grep -E '^(torch|torchvision|timm|typer|kaggle|numpy|rich) '
	$(FLOORS)/bin/python -m pytest -n 2 --dist worksteal tests/cli tests/competition/test_kaggle.py tests/losses \
		tests/models tests/inference tests/training/test_checkpoint.py tests/training/test_optim.py tests/data/test_augment.py \
		tests/data/test_mat_file.py tests/tasks/test_export.py tests/tasks/test_train_seg.py tests/test_compat.py \
		tests/test_devices.py tests/test_examples.py

clean:
	rm -rf .venv $(FLOORS) $(DEMO)
