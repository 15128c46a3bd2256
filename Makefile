# The only entry points, for people and for CI alike. `make` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# What this machine is, in Lambda's words, and what to build for: `make build ARCH=arm64` for Graviton.
HOST_ARCH := $(shell uname -m | sed 's/aarch64/arm64/')
ARCH ?= $(HOST_ARCH)
ENVIRONMENT ?= dev

VENV := .venv
LINT_VENV := .venv-lint
# cargo-deny and cargo-fuzz, built here so that nothing has to be installed by hand.
TOOLS := .tools
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
FUZZ_SECONDS ?= 20

export SAM_CLI_TELEMETRY := 0
# Building for another machine needs its standard library, which cargo-lambda would have rustup download unasked.
ifeq ($(ARCH),$(HOST_ARCH))
export RUSTUP_DIST_SERVER := http://127.0.0.1:9
endif

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup programs ## Run every function twice on a local AWS and show what the second time saved
	@target/debug/local-aws run

.PHONY: dev
dev: setup programs ## Leave the local AWS running, with the lines to try; TICK=30 fires schedules every 30 s
	@target/debug/local-aws dev $(if $(TICK),--tick $(TICK))

.PHONY: test
test: setup ## Run all tests, whole functions included
	cargo test --locked --workspace

.PHONY: lint
lint: check $(LINT_VENV)/ready $(TOOLS)/bin/cargo-deny ## Check style, documentation, licences and the template
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	$(TOOLS)/bin/cargo-deny --locked check bans licenses sources
	AWS_DEFAULT_REGION=us-east-1 $(LINT_VENV)/bin/sam validate --lint --template template.yaml
	$(LINT_VENV)/bin/cfn-lint --template template.yaml
	@mkdir -p target
	$(LINT_VENV)/bin/python tools/lint_template.py template.yaml > target/cloudformation.json
	$(LINT_VENV)/bin/cfn-lint --template target/cloudformation.json

.PHONY: fuzz
fuzz: check $(TOOLS)/bin/cargo-fuzz ## Fuzz every parser of foreign bytes for FUZZ_SECONDS each
	@cd fuzz && export PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" && cargo fuzz build --sanitizer none && \
	for target in $$(cargo fuzz list); do \
		mkdir -p corpus/$$target; \
		cargo fuzz run --sanitizer none $$target corpus/$$target seeds/$$target -- -max_total_time=$(FUZZ_SECONDS) \
			-timeout=5 -rss_limit_mb=2048 -print_final_stats=1 > target/$$target.log 2>&1 || { tail -n 40 target/$$target.log; exit 1; }; \
		awk -v t=$$target '/number_of_executed_units/ { print "fuzzed " t ": " $$2 " inputs, no fault" }' target/$$target.log; \
	done

.PHONY: bench
bench: setup ## Measure against floors and peers, and write docs/benchmarks.md
	cargo build --locked --release --workspace --bins
	cargo bench --locked --package benches

.PHONY: build
build: setup ## Build the functions for Lambda into target/lambda; ARCH=arm64 for Graviton
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" cargo lambda build --locked --release \
		$(if $(filter arm64,$(ARCH)),--arm64,--x86-64) $(foreach function,$(notdir $(wildcard functions/*)),--bin $(function))

.PHONY: deploy
deploy: build $(LINT_VENV)/ready ## Deploy to AWS with SAM: ENVIRONMENT=dev or prod
	$(LINT_VENV)/bin/sam deploy --config-env $(ENVIRONMENT) \
		--parameter-overrides Environment=$(ENVIRONMENT) Architecture=$(ARCH)

.PHONY: clean
clean: ## Remove everything that was built or installed here
	rm -rf target fuzz/target $(VENV) $(LINT_VENV) $(TOOLS)

# --- what the targets above need ------------------------------------------------------------------------------------

.PHONY: check
check:
	@tools/prerequisites.sh

.PHONY: setup
setup: check $(VENV)/ready

.PHONY: programs
programs:
	cargo build --locked --workspace --bins

$(VENV)/ready: tools/requirements.txt
	@echo "Setting up $(VENV): moto, boto3 and cargo-lambda, about 600 MB"
	@rm -rf $(VENV) && python3 -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tools/requirements.txt
	@touch $@

$(LINT_VENV)/ready: tools/lint-requirements.txt
	@echo "Setting up $(LINT_VENV): SAM and cfn-lint, about 350 MB"
	@rm -rf $(LINT_VENV) && python3 -m venv $(LINT_VENV)
	@$(LINT_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tools/lint-requirements.txt
	@touch $@

# Unoptimised: it builds in a third of the time and runs for a second.
$(TOOLS)/bin/cargo-deny:
	cargo install --quiet --debug --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY)

$(TOOLS)/bin/cargo-fuzz:
	cargo install --quiet --debug --locked --root $(TOOLS) cargo-fuzz@$(CARGO_FUZZ)
