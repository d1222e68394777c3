# `make` alone says what there is. Every target sets up first what it needs; when nothing changed that takes no time.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help testbed demo test check judges deep known-part bench contracts lock setup clean
MAKEFLAGS += --no-print-directory

# A Python that can make the environment: with venv and pip's installer, and not newer than what the locks have wheels for.
PROBE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c '$(PROBE)' 2>/dev/null && { echo "$$p"; break; }; done)
IN := .venv/bin

# Test processes side by side, and further arguments for pytest: make test JOBS=4 ARGS="-k journal"
JOBS ?= 2
ARGS ?=
DEEP_PARTS := $(patsubst tests/deep/test_%.py,%,$(wildcard tests/deep/test_*.py))

help: ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)$$/\1|\2/p' Makefile | \
		while IFS='|' read -r target line; do printf '  make %-10s %s\n' "$$target" "$$line"; done

testbed: setup ## the water cell on this machine until Ctrl-C; DURATION=60 stops it after that many seconds
	@test -e trust.toml || $(IN)/testbed init
	@exec $(IN)/testbed up $(if $(DURATION),--duration "$(DURATION)")

demo: setup ## a short bench that is recorded, verified, falsified and verified again
	@exec $(IN)/testbed demo

test: setup ## every quick test; JOBS=2 at a time, ARGS="..." goes to pytest
	@$(IN)/python -m pytest -n "$(JOBS)" --dist worksteal --hypothesis-profile quick \
		-m "not deep and not judges and not long" $(ARGS)

check: setup ## what CI runs: linters, types, layers, contracts, then quick and long tests
	@$(IN)/python .ci/check.py -n "$(JOBS)" --dist worksteal $(ARGS)

judges: setup ## foreign programs judge servers, logs and files; installs Debian's packages where it may (root)
	@$(IN)/python .ci/judges.py $(ARGS)

deep: known-part setup ## slow tests, a part at a time: PART=...; without it, the list of parts
	@$(IN)/python -m pytest -m deep --timeout 7200 "tests/deep/test_$(PART).py" $(ARGS)

known-part:
	@test -n "$(filter $(DEEP_PARTS),$(PART))" || { \
		echo 'make deep needs PART=... ; there are: $(or $(DEEP_PARTS),none yet)' >&2; exit 2; }

bench: setup ## measurements, each as a table; BENCH="gas ..." runs only these
	@$(IN)/python tests/bench/run.py $(BENCH)

contracts: setup ## compile the contract and write its committed artifact anew
	@$(IN)/python .ci/forge.py build
	@$(IN)/python -m testbed.chain.compile
	@echo 'contracts: wrote testbed/chain/AnchorRegistry.json'

lock: setup ## write the locks anew; what still fits stays as it is, UPGRADE=1 takes the newest
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(IN)/uv pip compile --quiet $(LOCK) --group dev \
		pyproject.toml -o .ci/requirements.txt
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(IN)/uv pip compile --quiet $(LOCK) --group node \
		-o .ci/requirements-node.txt
	@UV_CUSTOM_COMPILE_COMMAND='make lock' $(IN)/uv pip compile --quiet $(LOCK) --group judges \
		-o .ci/requirements-judges.txt
	@$(IN)/python .ci/set_up.py npm $(if $(UPGRADE),update,install) --package-lock-only
	@echo 'lock: wrote .ci/requirements.txt, -node.txt, -judges.txt and both package-lock.json'
LOCK := --universal --python-version 3.11 --generate-hashes --only-binary :all: $(if $(UPGRADE),--upgrade)

setup: ## Python environment, development node and compiler, all from the committed locks
	@"$(PYTHON)" -c '$(PROBE)' 2>/dev/null || { \
		echo 'make needs Python 3.11, 3.12 or 3.13 with its venv module.' >&2; \
		echo 'On Debian and Ubuntu: apt install python3 python3-venv. Elsewhere: make PYTHON=/path/to/python3.11 ...' >&2; \
		exit 1; }
	@"$(PYTHON)" .ci/set_up.py

clean: ## remove what make made; data of a bench (.testbed) and its trust file stay
	@rm -rf .venv .judges .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist \
		contracts/node_modules contracts/out contracts/cache tests/judges/node_modules
	@find testbed tests .ci -name __pycache__ -type d -prune -exec rm -rf {} +
