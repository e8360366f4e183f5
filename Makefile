# `make demo`: draw a data set, train, score, plot, report. `make test`: tests, ruff, mypy.
# `make test-long`: what takes too long for every time. All make .venv if it is missing.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo

.PHONY: demo test test-long clean

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
		tests/tasks/test_train_cls.py tests/tasks/test_untrusted_input.py

clean:
	rm -rf .venv $(DEMO)
