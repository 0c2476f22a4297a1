# What to type. Each target sets itself up first: Python 3.11+, make, gcc and git are all a machine needs.
PYTHON ?= python3
PYTEST = python -m pytest -n 2 --dist loadfile
WITH_CHROMIUM = SEQUIN_CHROMIUM=$$(python tests/browser/ensure_chromium.py) && export SEQUIN_CHROMIUM
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: setup up run fix check test test-integration test-browser test-faults
setup: .venv/dev.stamp
run: up
up: .venv/main.stamp
	@exec python manage.py up
fix: .venv/dev.stamp
	ruff check --fix . && ruff format .
check: .venv/dev.stamp
	ruff format --check . && ruff check . && mypy . && lint-imports && python manage.py makemigrations --check && python manage.py check
test: .venv/dev.stamp
	$(WITH_CHROMIUM) && $(PYTEST)
test-integration: .venv/dev.stamp
	$(PYTEST) tests/integration
test-browser: .venv/dev.stamp
	$(WITH_CHROMIUM) && $(PYTEST) tests/browser
test-faults: .venv/dev.stamp
	SEQUIN_FAULTS=long SEQUIN_FAULTS_REPORT=docs/faults.jsonl $(PYTEST) tests/faults; failed=$$?; \
	python -m tests.faults.table && exit $$failed

# pip knows dependency groups from 25.1 on; what Python brings along may be older.
.venv/%.stamp: pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	python -m pip install --quiet --upgrade "pip>=25.1"
	python -m pip install --quiet --no-compile --group $* && touch $@
