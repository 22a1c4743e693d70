# "make" alone lists the targets. build and demo need Go only; the others install
# what they need first ("make deps").

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help release deb build demo test e2e soak lint bench fuzz proto deps clean

# grpcnotrace leaves out gRPC's debug pages, and half of the binary with them.
TAGS := grpcnotrace
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

# How long each fuzz target runs: a time, or a number of runs such as 5000x.
FUZZTIME ?= 30s
# "short" makes the benchmark take less than a minute.
BENCH ?= full
# How long the fault suite runs: "short" is half a minute; a time such as 1h is made
# of rounds of two to five minutes, one at least.
SOAK ?= 10m

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/altagate, one static binary
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags '$(LDFLAGS)' -o bin/altagate ./cmd/altagate

release: ## build what is released into dist/: binaries, checksums, SBOM, licences
	rm -rf dist && mkdir dist
	for os in linux darwin; do for arch in amd64 arm64; do \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -tags $(TAGS) -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' \
			-o dist/altagate-$$os-$$arch ./cmd/altagate; \
	done; done
	go run ./test/release '$(VERSION)' dist
	cp LICENSE CHANGELOG.md dist/

deb: release ## the same, and Debian packages for amd64 and arm64
	for arch in amd64 arm64; do deploy/debian/build dist '$(VERSION)' $$arch; done
	cd dist && sha256sum *.deb >>SHA256SUMS

demo: build ## run altagate with a demo backend, origin and edge; ends with Ctrl-C
	bin/altagate demo

test: deps ## all tests, on real nginx, Envoy and PHP, with short fuzzing, fault suite and benchmark
	go vet -tags $(TAGS) ./...
	BENCH= SOAK= CI=true go test -tags $(TAGS) -race -shuffle=on -timeout 15m ./...
	go -C test/kubernetes test ./...
	go -C test/compose test ./...
	$(MAKE) --no-print-directory fuzz FUZZTIME=5000x
	$(MAKE) --no-print-directory soak SOAK=short
	$(MAKE) --no-print-directory bench BENCH=short

e2e: deps ## the tests on real nginx, Envoy and PHP alone
	CI=true go test -tags $(TAGS) -race -shuffle=on -count=1 -v ./test/e2e

soak: deps ## a thousand viewers through a backend's failures, for SOAK (10m); SOAK_SEED repeats a run
	CI=true SOAK=$(SOAK) go test -tags $(TAGS) -race -count=1 -timeout 0 -run '^TestSoak$$' -v ./test/soak

lint: .deps/bin/golangci-lint ## gofmt, go vet and golangci-lint
	.deps/bin/golangci-lint run --build-tags $(TAGS) ./...

# Built from source at the version of test/tools/go.mod: minutes once, then kept.
.deps/bin/golangci-lint: test/tools/go.mod test/tools/go.sum
	@echo "building golangci-lint into .deps/bin (a few minutes, once)"
	GOBIN=$(CURDIR)/.deps/bin go -C test/tools install tool
	@touch $@

bench: deps ## what a check costs, beside servers that do nothing and proxies that ask by themselves; writes docs/benchmarks.md
	BENCH=$(BENCH) go test -tags $(TAGS) -count=1 -timeout 30m -run '^TestBench$$' -v ./test/bench

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' pkg | while IFS=: read -r file _ func; do \
		go test -tags $(TAGS) -run '^$$' -fuzz "^$${func#func }$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "./$$(dirname "$$file")"; \
	done

proto: deps ## generate the Go code of proto/
	go build -o .deps/bin/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
	protoc --plugin=.deps/bin/protoc-gen-go -I proto --go_out=proto --go_opt=paths=source_relative altagate/v1/state.proto

deps: ## install what the tests need: nginx, HAProxy, Caddy, PHP, players, wrk, protoc (apt), Envoy (pip), hls.js (npm)
	@test/tools/deps

clean: ## remove what was built and installed here
	rm -rf bin dist .deps
