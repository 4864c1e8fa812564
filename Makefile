# Everything a contributor or the CI runs. `make` alone lists it.

# Options for `foxden demo`, as in `make demo DEMO_ARGS='--signups 50'`.
DEMO_ARGS ?=

CARGO_DENY_VERSION := 0.20.2
PYNACL_VERSION := 1.6.2
LIBSODIUM_WRAPPERS_VERSION := 0.8.4
PIKA_VERSION := 1.4.4
AMQPLIB_VERSION := 2.3.1
# The one on PATH if there is one, else our own, built once.
CARGO_DENY := $(or $(shell command -v cargo-deny 2>/dev/null),target/tools/bin/cargo-deny)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo env run test test-fast chaos schedules outcomes size restarts check fmt fmt-check clippy doc scripts-check deny advisories examples-tools sdk-tools fuzz bench contract clean-demo

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## Show foxden at work on a simulated Foxy; options in DEMO_ARGS
	cargo run --locked --package foxden -- demo $(DEMO_ARGS)

clean-demo: ## Remove what the demo has left in ./demo
	rm -rf demo

env: ## Write .env from the sample, with a fresh key; never overwrites
	@if [ -e .env ]; then echo '.env exists; move it away first, since it may hold the only copy of a key' >&2; exit 1; fi
	@cargo build --quiet --locked --package foxden
# The key goes through the environment, since arguments are visible to every user; `-C` refuses a file that is there.
	@umask 077; key=$$(cargo run --quiet --locked --package foxden -- keys generate); set -C; \
	KEY="$$key" awk '!done && /^#? ?FOXDEN_KEYS=/ { print "FOXDEN_KEYS=" ENVIRON["KEY"]; done = 1; next } { print } \
		END { if (!done) print "FOXDEN_KEYS=" ENVIRON["KEY"] }' deploy/foxden.env.example > .env
	@echo 'wrote .env; next: make run'

run: ## Run a worker with the settings of .env
	@if [ ! -e .env ]; then echo 'there is no .env; make env writes one' >&2; exit 1; fi
	@set -a; . ./.env; set +a; exec cargo run --locked --package foxden -- worker

test: ## All tests, against private PostgreSQL and RabbitMQ servers
	@timeout 300 $(MAKE) --no-print-directory --keep-going sdk-tools examples-tools || \
		echo 'what tests in other languages need could not be fetched; those tests will say SKIPPED' >&2
	@scripts/services.sh install || echo 'tests that need what is missing will say SKIPPED, or fail' >&2
# Under `nohup` they would inherit a SIGHUP that is ignored, which some of them send.
	scripts/services.sh with -- env --default-signal=HUP cargo test --workspace --locked

test-fast: ## The tests that need no server, and fewer schedules of the model
test-fast: export FOXDEN_TEST_SCHEDULES ?= 300
test-fast:
	cargo test --workspace --locked -- --skip servers::

chaos: ## The long chaos tests: workers killed, servers restarted, connections cut or silent, disks full; FOXDEN_TEST_SEED repeats one
chaos: export FOXDEN_TEST_CHAOS_SIGNUPS ?= 2000
chaos: export FOXDEN_TEST_CHAOS_KILLS ?= 100
chaos: export FOXDEN_TEST_CHAOS_OUTAGES ?= 5
chaos: export FOXDEN_TEST_CHAOS_CUTS ?= 30
chaos: export FOXDEN_TEST_CHAOS_SILENCES ?= 3
chaos: export FOXDEN_TEST_CHAOS_FULL_DISKS ?= 5
chaos:
	cargo test --package foxden --test end_to_end --locked chaos -- --nocapture --test-threads 1

schedules: ## The saga's three model tests from a random seed; FOXDEN_TEST_SEED repeats one, FOXDEN_TEST_SCHEDULES sets how many of each
schedules: export FOXDEN_TEST_SEED ?= $(shell od -An -N6 -tu8 /dev/urandom | tr -d ' ')
schedules: export FOXDEN_TEST_SCHEDULES ?= 25000
schedules:
	cargo test --package foxden-provisioning --test model --locked no_order -- --nocapture

size: ## The plans of every statement on ledgers of a million rows, and how long the frequent ones take; make test has 100,000
size: export FOXDEN_TEST_ROWS ?= 1000000
size:
	scripts/services.sh with -- cargo test --package foxden-ledger --test ledger --locked whole_table -- --nocapture --test-threads 1

restarts: ## The long restart test: 100 workers stopped in good order under load; FOXDEN_TEST_SEED repeats one
restarts: export FOXDEN_TEST_RESTARTS ?= 100
restarts:
	scripts/services.sh with -- cargo test --package foxden --test end_to_end --locked servers::restarts -- --nocapture

outcomes: ## The long test of outcome events: 1,500 of them while publishers are killed 60 times; FOXDEN_TEST_SEED repeats one
outcomes: export FOXDEN_TEST_OUTCOMES ?= 1500
outcomes: export FOXDEN_TEST_OUTCOME_KILLS ?= 60
outcomes:
	scripts/services.sh with -- cargo test --package foxden --test end_to_end --locked servers::publishers -- --nocapture

check: fmt-check clippy doc scripts-check deny ## Format, lints, documentation, scripts and dependencies, warnings denied

fmt: ## Format the code
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

clippy:
	cargo clippy --workspace --all-targets --locked -- -D warnings

doc: ## Build the documentation, private items included
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

scripts-check:
	for script in scripts/*.sh .ci/run; do bash -n "$$script"; done

deny: $(CARGO_DENY) ## Check licences, sources and bans of the dependencies
	$(CARGO_DENY) --locked check bans licenses sources

contract: ## Renew the JSON Schemas in docs/contract from the program's own rules
	cargo test --workspace --lib --locked -- --ignored write_the_published_schemas

advisories: $(CARGO_DENY) ## Check the dependencies against the RustSec database (fetches it)
	$(CARGO_DENY) --locked check advisories

# Without optimization: it runs for seconds, and building it with would take minutes.
target/tools/bin/cargo-deny:
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --no-default-features --debug --root target/tools

# Without these the tests of docs/examples say that they were skipped.
examples-tools: target/tools/examples.fetched ## Fetch the libraries that the examples in Python and Node need, into target/tools

target/tools/examples.fetched: Makefile
	python3 -m venv target/tools/python
	target/tools/python/bin/pip install --quiet pynacl==$(PYNACL_VERSION) pika==$(PIKA_VERSION)
	npm install --silent --no-audit --no-fund --prefix target/tools/node \
		libsodium-wrappers@$(LIBSODIUM_WRAPPERS_VERSION) amqplib@$(AMQPLIB_VERSION)
	touch $@

# Without it the tests in tests/sdk.rs say that they were skipped.
sdk-tools: target/tools/sdk.fetched ## Fetch Foxy's own SDK for Node, into target/tools

target/tools/sdk.fetched: tests/sdk/package.json tests/sdk/package-lock.json
	mkdir -p target/tools/sdk
	cp tests/sdk/package.json tests/sdk/package-lock.json target/tools/sdk/
	npm ci --silent --ignore-scripts --no-audit --no-fund --prefix target/tools/sdk
	touch $@

# Without the sanitizer, for which Rust's nightly would be needed; so is the flag, which stable Rust takes from nobody else.
fuzz: ## Fuzz what reads Foxy's answers, events, envelopes, escrow files and settings, a minute each; needs cargo-fuzz (cargo install cargo-fuzz)
	cd crates/foxy-api/fuzz && for target in documents tokens errors links; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -max_total_time=60 -max_len=8192; \
	done
	cd fuzz && for target in envelopes escrows events settings; do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -max_total_time=60 -max_len=8192; \
	done

bench: ## Run the benchmarks, against private servers where they want one
bench: export FOXDEN_SERVICES_FSYNC = on
bench:
	scripts/services.sh with -- cargo bench --workspace --bench '*' --locked
