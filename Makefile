# Bare `make` lists the targets. A target without `##` is for other targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := list
MAKEFLAGS += --no-print-directory

# Kept between runs. Exported, because the lab runs as root and must find what the caller built.
cache_home := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
export KERYX_LAB_CACHE ?= $(cache_home)/keryx-lab
# The tests look for the images here.
images := target

# Builds run as the caller; cargo starts only the finished program of the lab through this, as root.
host = $(shell rustc -vV | sed -n 's/^host: //p')
runner = CARGO_TARGET_$(shell echo $(host) | tr a-z- A-Z_)_RUNNER
sudo = $(or $(shell command -v sudo),$(error the lab makes network namespaces, which only root may: \
	run this as root, or install sudo))
environment = KERYX_LAB_CACHE=$(KERYX_LAB_CACHE) KERYX_IMAGES=$(CURDIR)/$(images) KEEP=$(KEEP) METALLB_BIN=$(METALLB_BIN) \
	KEEPALIVED_BIN=$(KEEPALIVED_BIN)
as_root = env $(environment) $(if $(filter 0,$(shell id -u)),,$(runner)="$(sudo) -E env $(environment)")

# Steps that more than one target takes. (A recipe that calls make again would run even under `make -n`.)
clippy := cargo clippy -q --workspace --all-targets -- -D warnings
lab_tools := crates/lab/tools/build.sh
define build_images
cargo run -q -p xtask -- image keryx --out $(images)/keryx-image.tar
cargo run -q -p xtask -- image echo --out $(images)/echo-image.tar
endef
define checks
cargo fmt --all --check
$(clippy)
cargo test -q
endef

.PHONY: list
list:
	@echo 'Targets:'
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-15s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST)) | sort

.PHONY: check
check: ## Format, lints, pure tests and the rules of the house; no root, under 2 minutes when warm
	@$(checks)

.PHONY: test
test: host-tools ## Everything once: check, then the lab tests on a real cluster (root); prints build and test time
	@built=
	report() {
	  echo "build time: $${built:-$$SECONDS} s"
	  [ -z "$$built" ] || echo "test time: $$((SECONDS - built)) s"
	}
	trap report EXIT
	$(clippy)
	# The whole workspace, so that every step below finds its crates built with the same features.
	cargo test -q --workspace --no-run
	$(lab_tools)
	$(build_images)
	built=$$SECONDS
	$(checks)
	$(as_root) cargo test --workspace --test wire --test interop --test api --test cluster

.PHONY: fuzz
fuzz: ## Fuzz all that reads octets from the network, FUZZ_SECS each (60); needs a nightly compiler and cargo-fuzz
	@for target in $$(cargo +nightly fuzz list); do
	  cargo +nightly fuzz run -s none "$$target" -- -max_total_time=$${FUZZ_SECS:-60} -max_len=8192
	done

.PHONY: image
image: ## Build static release programs and pack them as OCI archives: target/keryx-image.tar, echo-image.tar
	@$(build_images)

.PHONY: generate
generate: ## Write manifests/install.yaml and the generated reference pages anew
	@cargo run -q -p xtask -- generate

.PHONY: demo
demo: host-tools ## Show Keryx at work on a cluster in network namespaces (root); KEEP=1 leaves it up
	@$(lab_tools)
	$(build_images)
	$(as_root) cargo run -q -p keryx-tests --bin keryx-demo

.PHONY: soak
soak: host-tools ## What is long: BFD on busy processors, 500 Services under a controller that is killed (root); BFD_SECS, SOAK_ROUNDS, SOAK_SEED
	@$(lab_tools)
	$(build_images)
	BFD_SECS=$${BFD_SECS:-1800} $(as_root) cargo test -q -p keryx-tests --test wire -- bfd::a_session_of_150_ms
	$(as_root) cargo run -q -p keryx-tests --bin keryx-soak

.PHONY: bench-latency
bench-latency: host-tools ## Time from create to status, first ARP and first answer (root); METALLB_BIN adds MetalLB beside it
	@$(lab_tools)
	$(build_images)
	$(as_root) cargo run -q -p keryx-benches --bin bench-latency

.PHONY: bench-ipam
bench-ipam: ## What the allocator costs in time and memory, from 256 addresses to a million; no root
	@cargo run -q --release -p keryx-bench-ipam

.PHONY: bench-bgp
bench-bgp: host-tools ## What BGP costs, how soon an UPDATE is out, what clients miss when nodes and speakers fail (root); ROUNDS, PART, METALLB_BIN
	@$(lab_tools)
	$(build_images)
	# As the programs of the image: static, of the same crates with the same features.
	RUSTFLAGS='-C target-feature=+crt-static' cargo build -q --release --target $(host) \
	  -p keryx-controller -p keryx-speaker -p keryx-cli -p keryx-bench-bgp-sender
	$(as_root) cargo run -q --release -p keryx-benches --bin bench-bgp

.PHONY: bench-failover
bench-failover: host-tools ## For how long a client is without an answer when nodes, cables and speakers fail (root); ROUNDS, METALLB_BIN, KEEPALIVED_BIN
	@$(lab_tools)
	$(build_images)
	$(as_root) cargo run -q --release -p keryx-benches --bin bench-failover

.PHONY: bench-layer2
bench-layer2: host-tools ## What a speaker with 10,000 VIPs costs, and how it answers ARP (root); VIPS makes it smaller
	@$(lab_tools)
	$(build_images)
	$(as_root) cargo run -q --release -p keryx-benches --bin bench-layer2

.PHONY: bench-scale
bench-scale: host-tools ## What 10,000 Services cost the controller, beside the API server's own floor (root); SCALE_SERVICES
	@$(lab_tools)
	$(build_images)
	$(as_root) cargo run -q --release -p keryx-benches --bin bench-scale

.PHONY: lab-up
lab-up: host-tools ## Bring up a lab of three nodes and a client without Keryx (root), and say how to play with it
	@$(lab_tools)
	$(as_root) cargo run -q -p keryx-lab -- up

.PHONY: lab-down
lab-down: ## Tear the lab down that lab-up or KEEP=1 left (root)
	@$(as_root) cargo run -q -p keryx-lab -- down

.PHONY: lab-tools
lab-tools: host-tools ## Build Kubernetes, etcd and the rest of the lab into the cache; once, some minutes
	@$(lab_tools)

.PHONY: clean
clean: ## Remove build results; the lab's cache stays (its folder is printed)
	@cargo clean
	echo "kept: $(KERYX_LAB_CACHE)"

.PHONY: host-tools
host-tools:
	@xtask/host-tools.sh
