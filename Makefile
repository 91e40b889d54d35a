# Two commands: `make demo` runs the main job, `make test` passes the tests. Both install what
# they need first (system packages on Debian and Ubuntu, a virtual environment in .venv).

PYTHON ?= python3
OUT ?= out
DEMO_OPTIONS ?=

.PHONY: demo test lint types contracts unit clean

demo: .stamps/prepared
	.venv/bin/ir-nav demo --out $(OUT) $(DEMO_OPTIONS)

test: lint contracts
	$(MAKE) -j 2 types unit

lint: .stamps/prepared-tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

contracts: .stamps/prepared-tests
	.venv/bin/lint-imports --config setup.cfg

types: .stamps/prepared-tests
	.venv/bin/mypy

unit: .stamps/prepared-tests
	.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder

.stamps/prepared: setup.cfg scripts/prepare
	PYTHON=$(PYTHON) scripts/prepare

.stamps/prepared-tests: setup.cfg scripts/prepare
	PYTHON=$(PYTHON) scripts/prepare --with-tests

clean:
	rm -rf .venv .stamps out build *.egg-info .mypy_cache .ruff_cache .pytest_cache
