# Every target works alone on a fresh clone: what it needs is set up first, once.
PYTHON ?= python3
BIN := .venv/bin
.NOTPARALLEL:

.PHONY: help demo test check unit interop bench fuzz fuzz-briefly torture wheel clean

help:
	@echo "make demo     record a call of two synthetic participants, and show what came of it"
	@echo "make test     everything: check, unit, a minute of fuzz, interop"
	@echo "make check    linter, formatter, types"
	@echo "make unit     tests without servers, browsers and waiting"
	@echo "make interop  tests against livekit-server, official clients and players"
	@echo "make bench    the figures of the README, measured here"
	@echo "make fuzz     wild bytes for everything that reads foreign bytes, SECONDS=600 of them"
	@echo "make wheel    the package with the page in it, in dist/"
	@echo "make torture  100 recorders of a live call are killed; what they left is recovered and looked at"
	@echo "make clean    forget .venv and caches of this folder"

.setup-demo:
	@$(PYTHON) scripts/setup_tools.py demo
.setup-test:
	@$(PYTHON) scripts/setup_tools.py test
.PHONY: .setup-demo .setup-test

demo: .setup-demo
	@$(BIN)/python -m demo

test: check unit fuzz-briefly interop

check: .setup-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

unit: .setup-test
	$(BIN)/pytest -m "not interop"

interop: .setup-test
	$(BIN)/pytest -m interop

bench: .setup-test
	@$(BIN)/python -m bench

# `make fuzz SECONDS=60 SEED=1` tries the same each time.
SECONDS ?= 600
SEED ?= 0
fuzz: .setup-test
	@$(BIN)/python -m fuzz --seconds $(SECONDS) --seed $(SEED)

fuzz-briefly: .setup-test
	$(BIN)/python -m fuzz --seconds 60 --seed 1

wheel: .setup-test
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

torture: .setup-test
	@$(BIN)/python -m testbed.torture --kills 100

clean:
	rm -rf .venv .venv.lock .pytest_cache .ruff_cache .hypothesis demo-output
