# Needs Python >= 3.11 and make; everything else goes into .venv
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install run test drills chaos soak attack check fmt bench docs lock clean

BIN := .venv/bin
INSTALLED := .venv/.installed
DRILLS := tests/acceptance tests/clients tests/crashes tests/faults
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## make .venv with every dependency, hashes checked

run: $(INSTALLED) ## start everything with demo traffic; Ctrl-C stops it
	@$(BIN)/analytics up --demo $(ARGS)

test: check ## all checks, then the tests, one process more than processors: many wait
	$(BIN)/pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 5 --dist loadfile $(ARGS)

drills: $(INSTALLED) ## the tests that kill, cut off, freeze and fill whole systems, one after the other
	$(BIN)/pytest $(DRILLS) $(ARGS)

chaos: $(INSTALLED) ## kill processes at random for long; ARGS="--chaos-seed 7 --chaos-rounds 1" repeats one round
	$(BIN)/pytest tests/unit/test_detectors_never_raise.py --detector-texts 1000000 --timeout 7200
	$(BIN)/pytest tests/crashes/test_random_kills.py tests/simulation tests/oracle --simulation-examples 2000 \
		--oracle-lives 1 --oracle-learners 100 --oracle-events 300 --chaos-seed $$(date +%s) --chaos-rounds 60 $(ARGS)

soak: $(INSTALLED) ## ten minutes of traffic with faults, then a report; ARGS="--minutes 2 --seed 7"
	$(BIN)/python -m bench.soak $(ARGS)

attack: $(INSTALLED) ## three minutes of hostile input, then a report; ARGS="--minutes 30 --seed 7"
	$(BIN)/python -m attack $(ARGS)

check: $(INSTALLED) ## lint, format, types, layers, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/mypy --python-version 3.10 --package studyin_analytics
	$(BIN)/lint-imports
	$(BIN)/python deploy/audit.py

fmt: $(INSTALLED) ## format and sort imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## measure how fast each stage is, beside the limit of what is below it; ARGS="--quick"
	$(BIN)/python -m bench $(ARGS)

docs: $(INSTALLED) ## write the documents that are made from the code
	$(BIN)/python -m schemas.export docs/schemas
	$(BIN)/python -m schemas.event_table docs/api.md
	$(BIN)/python -m ingest.openapi > docs/openapi-ingest.json
	$(BIN)/python -m dashboard.openapi > docs/openapi-dashboard.json
	$(BIN)/python -m runtime.settings_table README.md
	$(BIN)/python -m tests.corpus.evaluation docs/privacy.md

COMPILE = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --custom-compile-command 'make lock' --group build
lock: ## choose dependency versions anew; ARGS=--upgrade takes the newest
	@command -v uv >/dev/null 2>&1 || test -x .venv-lock/bin/uv || { \
		$(FIND_PYTHON); "$$python" -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv; }
	PATH="$$PATH:.venv-lock/bin"; $(COMPILE) $(ARGS) --output-file requirements.txt
	PATH="$$PATH:.venv-lock/bin"; $(COMPILE) $(ARGS) --output-file requirements-dev.txt \
		--extra embedded --group dev --constraint requirements.txt

clean: ## remove .venv and caches; data in .data stays
	rm -rf .venv .venv-lock build dist *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.data/*' -prune -exec rm -rf {} +

FIND_PYTHON = python=; \
	for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
		"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
			&& python=$$candidate && break; \
	done; \
	if [ -z "$$python" ]; then \
		echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1 || echo none)." >&2; \
		echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
		exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		echo "$$("$$python" --version) cannot make a virtual environment." >&2; \
		echo "On Debian or Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; \
	fi

# The stamp is touched last, so that an interrupted install is done again
$(INSTALLED): requirements-dev.txt pyproject.toml
	@$(FIND_PYTHON); $(BIN)/pip --version >/dev/null 2>&1 || { \
		rm -rf .venv; echo "making .venv with $$("$$python" --version)"; "$$python" -m venv .venv; }
	@echo "installing dependencies into .venv"
	@$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
