# Every target sets up what it needs: a virtual environment from the first Python >= 3.11 found, the pinned dependencies,
# this project in editable form. `make test PYTHON=python3.13 VENV=.venv313` uses another one.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.order-router-installed
# The first interpreter that runs and is new enough: a name may be there and still not start (pyenv's shims).
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$name"; break; fi; done)
CODE := $(wildcard actors messages app supervisor.py examples tests benchmarks)
ARGS ?=
EXTRAS ?= test,dev
SUITE_BASE ?= unix

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## set up the environment only

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@if [[ -z "$(PYTHON)" ]]; then echo "no Python >= 3.11 found; name one with PYTHON=..." >&2; exit 69; fi
	@[[ -x "$(BIN)/python" ]] || "$(PYTHON)" -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch "$(STAMP)"

demo: $(STAMP) ## an exchange dies under a trading strategy, and nothing is lost (ARGS="--json", ...)
	@"$(BIN)/order-router" demo $(ARGS)

test: $(STAMP) ## the test suite (ARGS="-m slow", "-k name", ...)
	@timeout --kill-after=10 3600 "$(BIN)/python" -m pytest $(ARGS)

test-deep: $(STAMP) ## what repeats, on other exchanges and by other causes, what the suite has shown: a few minutes
	@timeout --kill-after=10 1800 "$(BIN)/python" -m pytest -m deep $(ARGS)

properties: $(STAMP) ## hypothesis' properties at length: several times the suite's examples, and new ones each time
	@env -u CI ORDER_ROUTER_DEEP=1 timeout --kill-after=10 3600 "$(BIN)/python" -m pytest \
		tests/domain tests/exchanges tests/journal tests/simulator tests/fuzz/test_router_machine.py $(ARGS)

mutation: ## does breaking app/domain make a test fail? writes docs/MUTATION.md (ARGS="--deciding", "--module commit", "--sample 500", "--survivors")
	@$(MAKE) --no-print-directory setup VENV=.venv-mutation EXTRAS=test,dev,mutation
	@nice -n 10 .venv-mutation/bin/python -m benchmarks.mutation $(ARGS)

conformance: $(STAMP) ## every adapter, call and fault, observed; writes docs/CONFORMANCE.md (ARGS="--check", "--only okx-spot")
	@timeout --kill-after=10 900 "$(BIN)/python" -m tests.conformance $(ARGS)

crashes: $(STAMP) ## kill -9 of a connector at every step, on every exchange; writes docs/CRASHES.md (ARGS="--check", "--resume")
	@timeout --kill-after=60 3600 "$(BIN)/python" -m tests.crash $(ARGS)

promises: $(STAMP) ## what exchanges promise, by the tables the code acts by; writes docs/EXCHANGES.md
	@"$(BIN)/python" -m tests.exchanges.promises

life: $(STAMP) ## the lives of orders and legs, by the tables the code acts by; writes docs/LIFE.md
	@"$(BIN)/python" -m tests.domain.life

bench: $(STAMP) ## measure against the baselines
	@timeout --kill-after=10 1800 "$(BIN)/python" -m benchmarks $(ARGS)

bench-memory: $(STAMP) ## what each further exchange costs in memory
	@timeout --kill-after=10 600 "$(BIN)/python" -m benchmarks.memory $(ARGS)

bench-journal: $(STAMP) ## what the journal costs, also with a million orders in it
	@timeout --kill-after=10 1800 "$(BIN)/python" -m benchmarks.journal $(ARGS)

bench-switch: $(STAMP) ## what a switch costs, beside a plain loop; writes docs/SWITCHING.md (ARGS="--only dead", "--runs 3")
	@timeout --kill-after=10 3600 "$(BIN)/python" -m benchmarks.switching $(ARGS)

bench-detection: $(STAMP) ## who finds an ill exchange how soon, and who is wrong, over simulated months; writes docs/DETECTION.md (ARGS="--resume")
	@timeout --kill-after=10 3600 "$(BIN)/python" -m benchmarks.detection $(ARGS)

peers: $(STAMP) ## the same broken requests, met by other ways of placing; writes docs/COMPARISON.md
	@timeout --kill-after=10 900 "$(BIN)/python" -m benchmarks.peers $(ARGS)

soak: $(STAMP) ## twenty minutes of messages between processes that die (ARGS="--minutes 2")
	@timeout --kill-after=10 7200 "$(BIN)/python" -m benchmarks.soak $(ARGS)

thespian-suite: $(STAMP) ## Thespian's own tests on the router's system base: minutes (SUITE_BASE=tcp: on its own)
	@ORDER_ROUTER_SUITE_BASE=$(SUITE_BASE) timeout --kill-after=10 3600 "$(BIN)/python" -m pytest -c /dev/null -q \
		-p no:cacheprovider -p no:xdist -p tests.transport.thespian_suite \
		"$$("$(BIN)/python" -c 'import os, thespian.test; print(os.path.dirname(thespian.test.__file__))')" $(ARGS)

fuzz: $(STAMP) ## the whole router in simulated time under chosen and random faults
	@timeout --kill-after=10 3600 "$(BIN)/order-router" fuzz $(ARGS)

fuzz-deep: $(STAMP) ## 100,000 seeds, resumed where the last run stopped (ARGS="--minutes 30")
	@"$(BIN)/python" -m benchmarks.fuzz_deep $(ARGS)

fuzz-real: $(STAMP) ## the same seeds against real processes and HTTP, resumed where it stopped (ARGS="--seeds 20 --profile crashes")
	@"$(BIN)/python" -m tests.real $(ARGS)

fuzz-planted: $(STAMP) ## how many seeds it takes to find each of the bugs by which a harness is measured (ARGS="--only NAME")
	@timeout --kill-after=10 7200 "$(BIN)/python" -m tests.fuzz.planted_named $(ARGS)

fuzz-exhaust: $(STAMP) ## every order of events in small scopes, resumed where the last run stopped (ARGS="--minutes 30", "--only SCOPE")
	@"$(BIN)/python" -m benchmarks.fuzz_exhaust $(ARGS)

fuzz-page: $(STAMP) ## what docs/FUZZ.md says by the code and the results
	@"$(BIN)/python" -m tests.fuzz.page

chaos: $(STAMP) ## kill, crash and freeze everything of a real daemon under load (ARGS="--kills 10", "--resume", ...)
	@timeout --kill-after=60 3600 "$(BIN)/python" -m tests.chaos $(ARGS)

chaos-switch: $(STAMP) ## kill -9 of everybody in the middle of a switch with orders and positions (ARGS="--injuries 6")
	@timeout --kill-after=60 3600 "$(BIN)/python" -m tests.chaos.switching $(ARGS)

lint: $(STAMP) ## style and likely mistakes
	@"$(BIN)/ruff" check $(CODE)
	@"$(BIN)/ruff" format --check $(CODE)

types: $(STAMP) ## mypy --strict, then pyright
	@"$(BIN)/mypy" $(CODE)
	@"$(BIN)/pyright" $(CODE)

layers: $(STAMP) ## who may import whom
	@"$(BIN)/lint-imports"
	@if grep -nHE '^\s*(from|import)\s+(ccxt|app\.(core|cli|web|launcher|bootstrap|simulator|fuzz))\b' supervisor.py; then \
		echo "supervisor.py imports from above it, or a room that only the command line may use" >&2; exit 1; fi

clean: ## remove the environment and every cache
	rm -rf "$(VENV)" .venv-mutation .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup demo test test-deep properties mutation conformance crashes promises life bench bench-memory bench-journal bench-switch bench-detection peers soak thespian-suite fuzz fuzz-deep fuzz-real fuzz-planted fuzz-exhaust fuzz-page chaos chaos-switch lint types layers clean
