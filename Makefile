# The only entry points, for people and for CI alike. `make` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# This machine's architecture in Lambda's words, and the one to build for: `make build ARCH=arm64` for Graviton, by any of its names.
HOST_ARCH := $(shell uname -m | sed 's/aarch64/arm64/')
ARCH ?= $(HOST_ARCH)
ARCHITECTURE := $(if $(filter arm64 aarch64,$(ARCH)),arm64)$(if $(filter x86_64 x86-64 amd64,$(ARCH)),x86_64)
ENVIRONMENT ?= dev

# The Python that virtual environments are made of: `make run PYTHON=python3.12`.
PYTHON ?= python3
# One that was upgraded has no use for the packages of the last one.
READY := ready-$(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
# A script in bin/ begins with the folder that it was installed in, which may have been renamed since: so it is given to Python.
VENV := .venv
LINT_VENV := .venv-lint
BENCH_VENV := .venv-bench
# cargo-deny, cargo-fuzz and dynoxide, built here so that nothing has to be installed by hand.
TOOLS := .tools
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
# A DynamoDB.
DYNOXIDE := 3.2.0
FUZZ_SECONDS ?= 20
# 0: other inputs each time.
FUZZ_SEED ?= 0

# Any other word would be built for x86-64.
ifneq ($(filter build deploy,$(MAKECMDGOALS)),)
ifneq ($(words $(ARCH)) $(words $(ARCHITECTURE)),1 1)
$(error ARCH="$(ARCH)" is not an architecture of Lambda: set ARCH to arm64 (aarch64) or x86_64 (amd64, x86-64))
endif
endif

export PYTHON
export SAM_CLI_TELEMETRY := 0
# Building for another machine needs its standard library, which cargo-lambda would have rustup download unasked.
ifeq ($(ARCHITECTURE),$(HOST_ARCH))
export RUSTUP_DIST_SERVER := http://127.0.0.1:9
endif

# Where the lines below, the template and the programs look for what was built, whatever the user's own cargo says.
run dev test bench build deploy: export CARGO_TARGET_DIR := $(CURDIR)/target

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup programs ## Run every function twice on a local AWS and compare; NETWORK=region adds an account's latencies
	@target/debug/local-aws run $(if $(NETWORK),--network $(NETWORK))

.PHONY: dev
dev: setup programs ## Leave the local AWS running, with the lines to try; TICK=30 fires schedules every 30 s; NETWORK as above
	@target/debug/local-aws dev $(if $(TICK),--tick $(TICK)) $(if $(NETWORK),--network $(NETWORK))

.PHONY: test
test: setup $(VENV)/test-$(READY) ## Run all tests, whole functions included
	cargo test --locked --workspace

.PHONY: lint
lint: check-lint $(LINT_VENV)/$(READY) $(TOOLS)/cargo-deny-$(CARGO_DENY) ## Check style, documentation, licences and the template
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	@for feature in "" json lz4 memory redis s3 seal sqlite tls; do \
		echo "cargo clippy: larder with \"$$feature\" alone"; \
		cargo clippy --quiet --locked --package larder --no-default-features --features "$$feature" -- --deny warnings || exit 1; \
	done
	cargo fmt --manifest-path benches/cache/Cargo.toml --check
	cargo clippy --locked --manifest-path benches/cache/Cargo.toml -- --deny warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	$(TOOLS)/bin/cargo-deny --locked check bans licenses sources
	AWS_DEFAULT_REGION=us-east-1 $(LINT_VENV)/bin/python $(LINT_VENV)/bin/sam validate --lint --template template.yaml
	$(LINT_VENV)/bin/python $(LINT_VENV)/bin/cfn-lint --template template.yaml
	@mkdir -p target
	$(LINT_VENV)/bin/python tools/lint_template.py template.yaml > target/cloudformation.json
	$(LINT_VENV)/bin/python $(LINT_VENV)/bin/cfn-lint --template target/cloudformation.json

.PHONY: fuzz
fuzz: check-fuzz $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ) ## Fuzz every parser of foreign bytes for FUZZ_SECONDS each
	@cd fuzz && export RUST_BACKTRACE=0 PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" && cargo fuzz build --sanitizer none && \
	for target in $$(cargo fuzz list); do \
		mkdir -p corpus/$$target; \
		cargo fuzz run --sanitizer none $$target corpus/$$target seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) \
			-seed=$(FUZZ_SEED) -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 > target/$$target.log 2>&1 || { tail -n 40 target/$$target.log; exit 1; }; \
		awk -v t=$$target '/number_of_executed_units/ { print "fuzzed " t ": " $$2 " inputs, no fault" }' target/$$target.log; \
	done

.PHONY: bench
bench: check-bench setup $(BENCH_VENV)/$(READY) ## Measure against floors and peers, and write docs/benchmarks*.md
	cargo build --locked --release --bin cdn-invalidator --bin monitor-runner --bin report-generator --bin runtime-calculator --bin runtime-events --bin answer-only --bin quick-monitor
	cargo bench --locked --workspace --bench invalidation --bench monitor-runner --bench reports --bench running-minutes
	@command -v npm > /dev/null && npm ci --silent --prefix benches/cache/peers || echo "no npm: the cache's peers in JavaScript are left out"
	CARGO_TARGET_DIR=$(CURDIR)/benches/cache/target cargo run --locked --release --manifest-path benches/cache/Cargo.toml

.PHONY: build
build: setup ## Build the functions for Lambda into target/lambda; ARCH=arm64 for Graviton
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo lambda build --locked --release \
		$(if $(filter arm64,$(ARCHITECTURE)),--arm64,--x86-64) $(foreach function,$(notdir $(wildcard functions/*)),--bin $(function))

.PHONY: deploy
deploy: parameters/$(ENVIRONMENT).yaml build $(LINT_VENV)/$(READY) ## Deploy to AWS with SAM: ENVIRONMENT=dev or prod, as parameters/ says
	$(LINT_VENV)/bin/python $(LINT_VENV)/bin/sam deploy --config-env $(ENVIRONMENT) \
		--parameter-overrides file://parameters/$(ENVIRONMENT).yaml Architecture=$(ARCHITECTURE)

.PHONY: publish
publish: ## Publish a monitor or templates: make publish ARGS="monitor --monitor slack …"; ARGS=--help tells more
	@cargo run --quiet --locked --package larder-publish -- $(ARGS)

.PHONY: clean
clean: ## Remove everything that was built or installed here
	rm -rf target benches/cache/target benches/cache/peers/node_modules fuzz/target fuzz/corpus fuzz/artifacts $(VENV) $(LINT_VENV) $(BENCH_VENV) $(TOOLS)

# --- what the targets above need ------------------------------------------------------------------------------------

.PHONY: check
check:
	@tools/prerequisites.sh

# The same, and what one target needs beside it.
check-%:
	@tools/prerequisites.sh $*

.PHONY: setup
setup: check $(VENV)/$(READY) $(TOOLS)/dynoxide-rs-$(DYNOXIDE)

.PHONY: programs
programs:
	cargo build --locked --workspace --bins

$(VENV)/$(READY): tools/requirements.txt
	@echo "Setting up $(VENV): moto, boto3 and cargo-lambda, about 600 MB"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/requirements.txt
	@touch $@

$(VENV)/test-$(READY): tools/test-requirements.txt $(VENV)/$(READY)
	@echo "Adding TA-Lib, the aws CLI and the clients of Yahoo, OpenAI and LINE to $(VENV), about 450 MB"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/requirements.txt --requirement tools/test-requirements.txt
	@touch $@

$(LINT_VENV)/$(READY): tools/lint-requirements.txt
	@echo "Setting up $(LINT_VENV): SAM and cfn-lint, about 350 MB"
	@rm -rf $(LINT_VENV) && $(PYTHON) -m venv $(LINT_VENV)
	@$(LINT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/lint-requirements.txt
	@touch $@

$(BENCH_VENV)/$(READY): tools/bench-requirements.txt
	@echo "Setting up $(BENCH_VENV): the Python peers"
	@rm -rf $(BENCH_VENV) && $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement tools/bench-requirements.txt
	@touch $@

# Unoptimised: it builds in a third of the time and runs for a second.
$(TOOLS)/cargo-deny-$(CARGO_DENY) $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ):
	cargo install --quiet --debug --locked --force --root $(TOOLS) $(subst cargo-deny-,cargo-deny@,$(subst cargo-fuzz-,cargo-fuzz@,$(@F)))
	@touch $@

$(TOOLS)/dynoxide-rs-$(DYNOXIDE):
	@echo "Building dynoxide, a DynamoDB, in $(TOOLS): two minutes, once"
	@env -u CARGO_TARGET_DIR cargo install --quiet --locked --force --root $(TOOLS) --no-default-features \
		--features native-sqlite,http-server,cli dynoxide-rs@$(DYNOXIDE)
	@touch $@
