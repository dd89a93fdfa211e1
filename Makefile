# `make demo` and `make test` need Python 3.11+, pip and make; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test bench crash docs lint samples clean

demo: $(INSTALLED)  ## audit the embedded digits, leave a report in demo/
	mkdir -p demo
	$(BIN)/curvaudit scan digits --out demo/digits.h5 --overwrite
	$(BIN)/curvaudit report demo/digits.h5 --top 100 --out demo/report
	@echo "Open demo/report/index.html in a browser."

test: lint  ## lint, types, import rules and the test suite
	$(BIN)/python -m pytest

bench: $(INSTALLED)  ## what training and measuring cost here, in minutes; tables in benchmarks/results/
	$(BIN)/python benchmarks/speed.py --quick --out benchmarks/results

crash: $(INSTALLED)  ## the long crash and fuzz trials
	CURVAUDIT_CRASH=long $(BIN)/python -m pytest tests/crash -s

docs: $(INSTALLED)  ## the documentation as a site in build/site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

samples: $(INSTALLED)  ## regenerate sample_reports/
	mkdir -p sample_reports
	$(BIN)/curvaudit scan digits --out sample_reports/digits.h5 --overwrite
	$(BIN)/curvaudit report sample_reports/digits.h5 --top 100 --out sample_reports/digits
	rm -f sample_reports/digits.h5

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "curvaudit needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build *.egg-info
