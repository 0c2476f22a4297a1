# What to type. Each target sets itself up first: Python 3.11+, make, gcc and git are all a machine needs.
PYTHON ?= python3
# Four for two cores: what most tests do is to wait for processes.
PYTEST = python -m pytest -n 4 --dist loadfile --no-loadscope-reorder
ON = eval "$$(cat .venv/programs.sh)" && SEQUIN_TEST_BACKEND
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Some machines set it. Hundreds of processes start in a test run, and each would compile again all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup up run fix check test test-integration test-browser test-faults \
	test-sqlite test-postgres test-redis test-backends bench bench-quick
setup: .venv/programs.sh
run: up
up: .venv/main.stamp
	@exec python manage.py up
fix: .venv/dev.stamp
	ruff check --fix . && ruff format .
check: .venv/dev.stamp
	ruff format --check . && ruff check . && mypy . && lint-imports && python manage.py makemigrations --check && python manage.py check
# The whole suite on SQLite, and what touches database or queue on the other two; `test-backends` is all of it there.
test: test-postgres test-redis test-sqlite
test-sqlite: .venv/programs.sh
	$(ON)=sqlite $(PYTEST)
test-postgres: .venv/programs.sh
	$(ON)=postgres $(PYTEST) -m "database or queue" --ignore tests/browser --ignore tests/faults
test-redis: .venv/programs.sh
	$(ON)=postgres-redis $(PYTEST) -m queue --ignore tests/browser --ignore tests/faults
test-backends: .venv/programs.sh
	$(ON)=postgres $(PYTEST)
	$(ON)=postgres-redis $(PYTEST)
test-integration: .venv/programs.sh
	$(ON)=sqlite $(PYTEST) tests/integration
test-browser: .venv/programs.sh
	$(ON)=sqlite $(PYTEST) tests/browser
test-faults: .venv/programs.sh
	export SEQUIN_FAULTS=long SEQUIN_FAULTS_REPORT=docs/faults.jsonl; failed=0; \
	for backend in sqlite postgres postgres-redis; do $(ON)=$$backend $(PYTEST) tests/faults || failed=1; done; \
	python -m tests.faults.table && exit $$failed

# Wants an idle machine, and at most 25 minutes of it; the figures go to benchmarks/results/ and docs/performance.md.
bench: .venv/programs.sh
	$(ON)=sqlite python -m benchmarks
bench-quick: .venv/programs.sh
	$(ON)=sqlite python -m benchmarks --quick

# pip knows dependency groups from 25.1 on; what Python brings along may be older.
.venv/%.stamp: pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	python -m pip install --quiet --upgrade "pip>=25.1"
	python -m pip install --quiet --no-compile --group $* && touch $@

# What the tests start that is no Python package (tests/ensure.py); looked for anew each time, for machines change.
.venv/programs.sh: .venv/dev.stamp FORCE
	python -m tests.ensure > $@
FORCE:
