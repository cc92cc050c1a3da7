# SPDX-License-Identifier: MIT OR Apache-2.0
# Thin: every target calls one program or script that can also be called by hand.

CARGO ?= cargo
CPUS ?= 1
MEM ?= 1024

# As the user wrote it, dollar signs and all; recipes see it in their environment.
override export CMD := $(value CMD)

launcher := $(CARGO) run --quiet --package launcher --
options := --cpus $(CPUS) --memory $(MEM) \
	$(if $(KERNEL),--kernel '$(KERNEL)') $(if $(INITRD),--initrd '$(INITRD)') \
	$(if $(SERVICE),--service-cpu) $(if $(SVN),--svn '$(SVN)') $(if $(ID_KEY),--id-key '$(ID_KEY)') \
	$(if $(LOG),--log '$(LOG)') $(if $(STATE),--state '$(STATE)') \
	$(if $(STATE_OWNER),--state-owner '$(STATE_OWNER)') \
	$(if $(STATE_KEY),--state-key '$(STATE_KEY)') $(if $(IGVM),--igvm '$(IGVM)') \
	$(foreach switch,$(MACHINE),--machine '$(switch)') \
	$(foreach feature,$(SVSM_FEATURES),--svsm-feature '$(feature)')

.PHONY: help run test check attest test-suites test-differential fuzz-smoke dependencies boots-20 \
	test-powercut figures cross-check bench bench-keys key-statistics keys-50 tpm-server guest guest-update install clean

help: ## list the targets (default)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  run takes CMD="command in the guest", CPUS=2, MEM=1024 (MiB), KERNEL=, INITRD= (files of'
	@echo '  your own), STATE= (disk image with the TPM, made if need be), LOG= (file), SERVICE=1 (a vCPU'
	@echo '  more, which makes keys), MACHINE="trace counters", IGVM= (file to keep), STATE_OWNER=,'
	@echo '  STATE_KEY=. Make turns every exit code but 0 into 2; tests/run gives the exact one.'

run: install ## boot; a root shell in the Linux guest, or CMD="…" alone
	@$(if $(CMD),$(launcher) command "$$CMD" $(options),$(launcher) shell $(options))

test: install ## everything that passes or fails: unit tests, conformance, TPM suites, boots
	@tests/test

check: install ## format, clippy, docs, no C in what is trusted, red zone, style
	@tests/check

dependencies: ## licences, versions and sources of what is depended on, and known vulnerabilities
	@tests/checks/dependencies

test-suites: ## third-party TPM suites; TPM2_TOOLS=<a source tree of tpm2-tools 5.4>: its scripts too
	@tests/suites/run $(if $(TPM2_TOOLS),'$(TPM2_TOOLS)')

test-differential: install ## the TPM engine against libtpms, N=100000 generated commands from SEED=1
	@tests/trials/run differential $(or $(N),100000) $(or $(SEED),1)

fuzz-smoke: ## the TPM's fuzz harnesses without a fuzzer, half a minute each
	@tests/trials/run fuzz_smoke

boots-20: install ## 20 boots in a row with 1 vCPU and 20 with 2
	@$(launcher) boots 20 1,2 $(options)

test-powercut: install ## kill QEMU while the guest writes to the TPM, CUTS=100 times
	@POWER_CUTS=$(or $(CUTS),100) $(CARGO) test --quiet --package calls --test power_cut -- --nocapture

figures: install ## measure what docs/performance.md reports
	@$(CARGO) run --quiet --release --package launcher --example figures

bench: install ## processor time of each TPM command, beside libtpms (ARGS="--help")
	@tests/bench/run $(ARGS)

attest: install ## boot, collect evidence in the guest, check it on the host (CPUS=2, STATE=disk)
	@$(CARGO) run --quiet --package attestation -- $(CPUS) $(if $(STATE),'$(STATE)')

cross-check: install ## launch digest, ID block and reports against others' implementations
	@tests/cross-check/run

bench-keys: ## CPU time of RSA keys and private operations beside other implementations
	@$(CARGO) run --quiet --release --package crypto-pool --example keys -- $(KEYS)
	@$(CARGO) run --quiet --release --package crypto-pool --example private

key-statistics: ## KEYS=10000 RSA-2048 keys: statistics, and each checked by openssl (docs/key-pool.md)
	@crypto-pool/examples/key-statistics $(KEYS)

keys-50: install ## three guests create KEYS=50 keys in a row and go on (docs/key-pool.md)
	@KEYS=$(or $(KEYS),50) $(CARGO) test --quiet --package launcher --test keys -- --nocapture --test-threads=1

tpm-server: ## the TPM engine behind a socket (ARGS="--help" for its options)
	@$(CARGO) run --quiet --release --package tpm-server -- $(ARGS)

guest: install ## make the guest's kernel and initramfs, if they are not there
	@tests/guest/build

guest-update: install ## the same with the newest kernel and packages
	@tests/guest/build --update

install: ## install the Debian packages that are missing
	@tests/guest/install

clean: ## remove everything that was built or cached
	@tests/clean
