# `make demo` and `make test` need Python 3.11+, pip and make; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test bench crash docs lint samples screenshots clean

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

samples: $(INSTALLED)  ## regenerate sample_reports/: digits, and drawn shapes with planted defects
	mkdir -p build
	rm -rf build/shapes
	$(BIN)/curvaudit scan digits --out build/digits.h5 --overwrite
	$(BIN)/curvaudit report build/digits.h5 --top 100 --out sample_reports/digits
	$(BIN)/python sample_reports/draw_shapes.py build/shapes sample_reports/shapes-planted.csv
	$(BIN)/curvaudit scan build/shapes --out build/shapes.h5 --overwrite
	$(BIN)/curvaudit report build/shapes.h5 --top 100 --out sample_reports/shapes
	$(BIN)/python sample_reports/count_planted.py sample_reports/shapes-planted.csv sample_reports/shapes \
		> sample_reports/shapes-found.md

screenshots: $(INSTALLED)  ## the pictures of the documentation, from sample_reports/; needs chromium
	$(BIN)/python docs/screenshots.py

$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "curvaudit needs Python 3.11 or newer"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo build *.egg-info
