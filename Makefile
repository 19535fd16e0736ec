# Copyright The gizmo Authors
# SPDX-License-Identifier: Apache-2.0

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := build
.NOTPARALLEL: # Go and the tests use all cores by themselves

# Where Go's own archives put it, in case that PATH does not say so.
export PATH := $(PATH):/usr/local/go/bin
export CGO_ENABLED := 0

VERSION := $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)
SOURCE_TIME := $(shell git log -1 --format=%ct 2>/dev/null)
CLI     := github.com/gizmo-ebpf/gizmo/internal/cli
# -E: the program begins where it finds out whether it has a standard output (internal/stdstreams).
LDFLAGS := -s -w -E github.com/gizmo-ebpf/gizmo/internal/stdstreams.begin -X $(CLI).version=$(VERSION) -X $(CLI).sourceTime=$(SOURCE_TIME)
OBJECTS := catalog/objects
SOCKETS := socket/objects

# What "make run" runs, and for how long that and "make soak" last; 0: until Ctrl-C, and 10 minutes.
GADGET  ?= trace_open
SECONDS ?= 0
ARGS    ?=

# What "make test-vm" boots, a package or a file, and which tests it runs. Empty: the newest kernel that is
# installed, or else the distribution's, and all.
KERNEL ?=
RUN    ?=

.PHONY: build
build: setup-build objects ## build bin/gizmo with its gadgets inside
	@go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/gizmo ./cmd/gizmo

.PHONY: run
run: build setup-mounts ## run a gadget until Ctrl-C: make run GADGET=trace_exec SECONDS=5 ARGS='-o json'
	@$(AS_ROOT) bin/gizmo run $(GADGET) --host --timeout $(SECONDS) $(ARGS)

.PHONY: test
test: setup-test setup-mounts build vet ## all tests; as root those of the kernel, too
	@scripts/go-test.sh . ./... $(AGAIN) $(PATIENCE)
	@scripts/go-test.sh tools ./... $(AGAIN)
	@scripts/go-test.sh test/otlpreceiver ./... $(AGAIN)
	@CGO_ENABLED=1 scripts/go-test.sh . '$(RACE)' $(AGAIN) $(PATIENCE) -race

.PHONY: test-vm
test-vm: setup-vm setup-mounts ## the tests of the kernel on another one, in a virtual machine: make test-vm KERNEL=PACKAGE-OR-FILE
	@go build -o bin/vm ./test/vm && bin/vm $(if $(value RUN),-run '$(value RUN)') $(KERNEL)

.PHONY: test-signatures
test-signatures: setup-build ## build cosign, some minutes, and compare signatures with it and with notation: make test-signatures COSIGN=PROGRAM
	@COSIGN=$(COSIGN) go -C test/signatures test -mod=mod -count=1 ./... -args $(ARGS)

.PHONY: soak
soak: build setup-mounts ## run gizmo under a load for 10 minutes and check that nothing grows: make soak SECONDS=60
	@go test -c -o bin/soak ./test/soak
	@$(AS_ROOT) bin/soak -test.run '^TestSoak$$' -test.v -test.timeout 0 -gizmo bin/gizmo -for $(if $(filter-out 0,$(SECONDS)),$(SECONDS)s,10m)

.PHONY: release
release: setup-release ## build what a release consists of, into dist/
	@scripts/release.sh dist

.PHONY: test-release
test-release: setup-release ## build a release twice and compare the bytes
	@scripts/test-release.sh amd64 arm64

.PHONY: fmt
fmt: setup-lint ## format the Go and C code
	@gofmt -w .
	@$(C_FILES) | xargs $(CLANG_FORMAT) -i

.PHONY: lint
lint: setup-lint vet ## check formats, the rules of internal/archtest, modules, and for likely mistakes
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "not formatted, make fmt does it: $$files" >&2; exit 1; }
	@$(C_FILES) | xargs $(CLANG_FORMAT) --dry-run --Werror
	@staticcheck=$$(go -C tools tool -n staticcheck) && "$$staticcheck" ./... && (cd tools && "$$staticcheck" ./...) && cd test/otlpreceiver && "$$staticcheck" ./...
	@go test $(AGAIN) ./internal/archtest
	@go mod tidy -diff && go -C tools mod tidy -diff && go -C test/otlpreceiver mod tidy -diff
	@go -C tools run ./licenses .. . ../test/otlpreceiver
	@for script in $(SCRIPTS); do bash -n "$$script"; done
	@shellcheck $(SCRIPTS)

.PHONY: outdated
outdated: ## list newer versions of modules, and those that were withdrawn; needs the network
	@for dir in . tools test/otlpreceiver; do go -C $$dir list -m -u -retracted -f '$(OUTDATED)' all; done | sort -u

.PHONY: generate
generate: ## write generated code and pages anew
	@go generate ./...

.PHONY: bench
bench: build setup-bench setup-mounts ## measure gizmo beside other programs, in tables: make bench ARGS='-rounds 3'
	@$(CLANG) -target bpf -g -O2 -Wall -D__TARGET_ARCH_x86 -Iinclude/vmlinux/amd64 -c bench/handmade/open.bpf.c -o bin/handmade.o
	@gcc -O2 -Wall -o bin/handmade bench/handmade/main.c -lbpf
	@gcc -O2 -Wall -fno-omit-frame-pointer -o bin/tree-fp bench/tree/tree.c
	@gcc -O2 -Wall -fomit-frame-pointer -o bin/tree-nofp bench/tree/tree.c
	@scripts/kernel-headers.sh bin/kernel-headers
	@go build -o bin/bench ./bench && $(AS_ROOT) bin/bench $(ARGS)

.PHONY: bench-parts
bench-parts: ## measure the parts by themselves
	@go test -run='^$$' -bench=. ./...

.PHONY: profile
profile: setup-test setup-mounts ## measure where an event spends its time, for the compiler: docs/performance.md
	@go -C tools run ./profile ..

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin dist
	@find $(OBJECTS) $(SOCKETS) -mindepth 1 -not -name .gitignore -delete

.PHONY: help
help: ## list what make can do
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

# What follows serves the above.

# Go's cache of test results does not know about the kernel, so CI goes without it.
AGAIN := $(if $(CI),-count=1)

# The tests of test/e2e take 6 minutes on two processors, and the limit is 10 unless it is said.
PATIENCE := -timeout 40m

# The packages in which goroutines meet.
RACE := ./stage/stack ./symbol/resolve ./pipeline/... ./socket ./container/... ./stage/sort/... ./sink/... ./symbol/mappings ./run ./host/... ./wire/... ./gadget/... ./internal/... ./build/gadgets/... ./gadgets/internal/... ./oci/...

# What "go list" says of a module that is not as it should be.
OUTDATED := {{if not .Main}}{{with .Retracted}}{{$$.Path}} {{$$.Version}} was withdrawn: {{.}}{{"\n"}}{{end -}}
OUTDATED += {{with .Deprecated}}{{$$.Path}} {{$$.Version}} is deprecated: {{.}}{{"\n"}}{{end -}}
OUTDATED += {{with .Update}}{{if not $$.Indirect}}{{$$.Path}} {{$$.Version}} has an update: {{.Version}}{{"\n"}}{{end}}{{end}}{{end -}}

AS_ROOT = $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# The C code that is ours to format, and the program that does it.
C_FILES      := find $(wildcard include gadgets socket test bench) -path include/vmlinux -prune -o \( -name "*.[ch]" -print \)
CLANG_FORMAT  = $(shell command -v clang-format-19 || echo clang-format)

CLANG = $(shell command -v clang-19 || echo clang)

SCRIPTS = .ci/run $(shell find . -name '*.sh' -not -path './bin/*' -not -path './dist/*')

# The gadgets of the program, and the programs that find the owners of sockets. The command is run on this machine, whatever the program is built for.
.PHONY: objects
objects:
	@env -u GOOS -u GOARCH go run ./build/gadgets $(if $(GOARCH),-arch $(GOARCH)) -o $(OBJECTS) gadgets
	@env -u GOOS -u GOARCH go run ./build/gadgets $(if $(GOARCH),-arch $(GOARCH)) -o $(SOCKETS) socket/programs

.PHONY: vet
vet:
	@go vet ./...
	@go -C tools vet ./...
	@go -C test/otlpreceiver vet ./...

.PHONY: setup-build setup-test setup-vm setup-lint setup-bench setup-release setup-mounts
setup-build:
	@scripts/setup.sh go build
setup-test:
	@scripts/setup.sh go build test neighbours
setup-vm:
	@scripts/setup.sh go build vm
setup-lint:
	@scripts/setup.sh go lint
setup-release:
	@scripts/setup.sh go build release
setup-bench:
	@scripts/setup.sh go build bench
# Tests do not ask for root: without it, those of the kernel are skipped.
setup-mounts:
	@if [ -z "$(AS_ROOT)" ] || [ -n "$(filter-out lint test test-release test-vm,$(MAKECMDGOALS))" ]; then scripts/setup.sh mounts; fi
