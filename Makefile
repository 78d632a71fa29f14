# Needs Python >= 3.11 and make; everything else goes into .venv
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install run test test-fast drills chaos soak attack check fmt bench mutants docs hooks lock clean

BIN := .venv/bin
RUNTIME := .venv/.runtime
TOOLS := .venv/.tools
REPORT := .data/drills.md
DRILLS := tests/acceptance tests/clients tests/crashes tests/faults
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## show this list
	@echo 'usage: make TARGET [ARGS="..."]'
	@echo 'ARGS is passed on to the command: make run ARGS="--workers 2", make test ARGS="-k streaks"'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: $(RUNTIME) ## start everything with demo traffic; Ctrl-C stops it
	@$(BIN)/analytics up --demo $(ARGS)

install: $(TOOLS) ## install everything into .venv: what runs, embedded servers, tools

test: check ## run all checks, then the tests, on every processor; the 20 slowest are listed
	$(BIN)/pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 3)) --maxprocesses 8 --dist loadfile \
		--durations 20 $(ARGS)

test-fast: $(TOOLS) ## run the unit and contract tests only, in less than a minute
	$(BIN)/pytest --quiet --numprocesses auto tests/unit tests/contract $(ARGS)

check: $(TOOLS) ## lint, format, types, layers, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/mypy --python-version 3.10 --package studyin_analytics
	$(BIN)/lint-imports
	$(BIN)/python deploy/audit.py

fmt: $(TOOLS) ## format and sort imports
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(TOOLS) ## write the documents that are made from the code
	$(BIN)/python -m schemas.export docs/schemas
	$(BIN)/python -m schemas.event_table docs/api.md
	$(BIN)/python -m ingest.openapi > docs/openapi-ingest.json
	$(BIN)/python -m dashboard.openapi > docs/openapi-dashboard.json
	$(BIN)/python -m runtime.settings_table docs/configuration.md
	$(BIN)/python -m telemetry.metrics_table docs/metrics.md
	$(BIN)/python -m tests.corpus.evaluation docs/privacy.md

hooks: $(TOOLS) ## check the format of what is committed in this clone, before each commit
	git config core.hooksPath .pre-commit/hooks

drills: $(TOOLS) ## run the tests that kill, cut off, freeze and fill whole systems, then a report; REPORT=docs/reports/drills.md
	@mkdir -p .data
	$(BIN)/pytest $(DRILLS) --junitxml .data/drills.xml $(ARGS); passed=$$?; \
		$(BIN)/python -m bench.drills .data/drills.xml --report $(REPORT) && exit $$passed

chaos: $(TOOLS) ## kill processes at random for long; ARGS="--chaos-seed 7 --chaos-rounds 1" repeats one round
	$(BIN)/pytest tests/unit/ingest/test_detectors_never_raise.py --detector-texts 1000000 --timeout 7200
	$(BIN)/pytest tests/crashes/test_random_kills.py tests/simulation tests/oracle --simulation-examples 2000 \
		--oracle-lives 1 --oracle-learners 100 --oracle-events 300 --chaos-seed $$(date +%s) --chaos-rounds 60 $(ARGS)

soak: $(TOOLS) ## ten minutes of traffic with faults, then a report; ARGS="--minutes 2 --seed 7"
	$(BIN)/python -m bench.soak $(ARGS)

attack: $(TOOLS) ## three minutes of hostile input, then a report; ARGS="--minutes 30 --seed 7"
	$(BIN)/python -m attack $(ARGS)

bench: $(TOOLS) ## measure each stage beside the limit of what is below it; ARGS="--quick"
	$(BIN)/python -m bench $(ARGS)

mutants: $(TOOLS) ## change the pure core in small ways and count the changes no test notices; ARGS="dashboard.answers.levels*"
	$(BIN)/mutmut run $(ARGS)
	$(BIN)/mutmut results

# Packages that an earlier file pins are left out of the later ones; pip gets all of them together
COMPILE = PATH="$$PATH:.venv-lock/bin" uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --group build
PINNED_IN = $$(sed -n 's/^\([a-z0-9.-]*\)==.*/--no-emit-package \1/p' $(1))
lock: ## choose dependency versions anew; ARGS=--upgrade takes the newest
	@command -v uv >/dev/null 2>&1 || test -x .venv-lock/bin/uv || { \
		$(FIND_PYTHON); "$$python" -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv; }
	$(COMPILE) $(ARGS) --output-file requirements.txt
	$(COMPILE) $(ARGS) --output-file requirements-embedded.txt --extra embedded \
		--constraint requirements.txt $(call PINNED_IN,requirements.txt)
	$(COMPILE) $(ARGS) --output-file requirements-dev.txt --extra embedded --group dev \
		--constraint requirements.txt --constraint requirements-embedded.txt \
		$(call PINNED_IN,requirements.txt requirements-embedded.txt)

clean: ## remove .venv and caches; data in .data stays
	rm -rf .venv .venv-lock build dist mutants *.egg-info
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

# An installation removes both stamps first and touches its own last, so a .venv without the first one is incomplete
# and is made anew.
START = set -e; started=$$(date +%s)
ELAPSED = $$(($$(date +%s) - started)) s
PACKAGES = $$(ls -d .venv/lib/python*/site-packages/*.dist-info | wc -l)
# pip compiles on one processor only
PIP = $(BIN)/pip install -qq --no-compile
COMPILE_ALL = $(BIN)/python -m compileall -qq -j 0 .venv/lib || true

$(RUNTIME): requirements.txt requirements-embedded.txt pyproject.toml
	@$(START); test -e $@ && $(BIN)/pip --version >/dev/null 2>&1 || { \
		$(FIND_PYTHON); rm -rf .venv; "$$python" -m venv .venv; \
		echo "made .venv with $$("$$python" --version) in $(ELAPSED)"; }
	@$(START); rm -f $(RUNTIME) $(TOOLS); \
		$(PIP) --require-hashes --requirement requirements.txt --requirement requirements-embedded.txt; \
		$(PIP) --no-deps --no-build-isolation --editable .; \
		$(COMPILE_ALL); touch $@; echo "installed $(PACKAGES) packages in $(ELAPSED)"

$(TOOLS): $(RUNTIME) requirements-dev.txt
	@$(START); rm -f $(RUNTIME) $(TOOLS); \
		$(PIP) --require-hashes --requirement requirements.txt --requirement requirements-embedded.txt \
			--requirement requirements-dev.txt; \
		$(COMPILE_ALL); touch $(RUNTIME) $@; \
		echo "installed the tools of tests and benches, $(PACKAGES) packages in all, in $(ELAPSED)"
