# make demo    three pretend offices on this computer; nothing leaves it
# make test    lint, types and all tests, in an environment of its own (.venv)
# make crash   every crash: 200 kills, a kill at every system call that changes a file, 50 power losses (about half an hour; root)
# make bench   measure beside Postfix and Dovecot (BENCH: the folder with the loads; needs root); keeps benchmarks/RESULTS.md
# make mixed   SMTP, IMAP, POP3, mutt, Dovecot's agent, cp and rm on one mailbox at once, for ten minutes (MIXED seconds, SEED)
# make soak    2000 accounts, 500 clients in IDLE, 100 letters a minute, for an hour (MINUTES): nothing grows; then consistency
# make consistency   20 sessions, deliveries, POP3 and other programs on one mailbox, at random, for half an hour (MINUTES, SEED)
# make clients   Roundcube in Chromium and Thunderbird, driven without a screen; says what is missing (Debian packages)
# make timing  2 x 1000 guesses at users who are there and who are not: the answers take as long (17 minutes, if nothing else runs)
# make fuzz    what strangers' octets reach, each target for a minute (SECONDS, TARGETS), led by the branches it takes
# make clean   take away everything that make has made
#
# make test PYTHON=python3.13 VENV=.venv-3.13     with another Python
# make test EXTRAS=,gssapi                        with extras that have to be compiled
# REQUIRE_CLIENTS=1 make test                     a missing mail client is a failure, not a skipped test; all rounds of tests/crash

PYTHON ?= python3
VENV   ?= .venv
TESTS  ?= tests
# One more than there are cores, because some wait now and then.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# What talks to programs of others, or kills servers, waits most of the time (it uses a third of a core): four at once, the longest
# files first (tests/conftest.py).
BESIDE ?= tests/interop tests/crash tests/consistency tests/abuse tests/clients
# Processes of their own: what drives the browser takes the loop of events for itself.
BROWSER ?= tests/browser
BENCH  ?= ../shared/bench
ROUNDS ?= 3
MIXED  ?= 600
SEED   ?= 1
MINUTES ?= 60
SECONDS ?= 60
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.PHONY: demo test lint check together beside browser crash bench mixed soak consistency clients timing fuzz clean

demo: $(READY)
	$(BIN)/twistmail demo

test: lint check

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy

check: together beside browser

together: $(READY)
	$(BIN)/python -m pytest -q -rs -n $(WORKERS) --dist loadfile $(TESTS) $(BESIDE:%=--ignore=%) $(BROWSER:%=--ignore=%)

beside: $(READY)
	$(BIN)/python -m pytest -q -rs -n 4 --dist loadfile --no-loadscope-reorder $(BESIDE)

browser: $(READY)
	$(BIN)/python -m pytest -q -rs -n 2 --dist worksteal $(BROWSER)

crash: $(READY)
	CRASH=whole $(BIN)/python -m pytest -q -rs tests/crash

bench: $(READY)
	$(BIN)/python -m benchmarks.compare $(BENCH) --rounds $(ROUNDS)

# Only a changed pyproject.toml needs the package index again.
$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[test$(EXTRAS)]'
	touch $@

mixed: $(READY)
	MIXED_SECONDS=$(MIXED) MIXED_SEED=$(SEED) $(BIN)/python -m pytest -q -s tests/interop/test_many_ways.py

soak: $(READY)
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)
	$(MAKE) consistency MINUTES=30

consistency: MINUTES := 30
consistency: $(READY)
	CONSISTENCY_SECONDS=$$(($(MINUTES) * 60)) CONSISTENCY_SEED=$(SEED) $(BIN)/python -m pytest -q tests/consistency

clients: $(READY)
	CLIENTS=1 $(BIN)/python -m pytest -q -rs --durations=5 tests/clients

timing: $(READY)
	PROBES=1000 $(BIN)/python -m pytest -q -s tests/interop/test_guessing.py

fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[test,fuzz]'
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(TARGETS)

clean:
	rm -rf .venv .venv-* dist build .hypothesis .pytest_cache .mypy_cache .ruff_cache twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
