.DEFAULT_GOAL := help
.PHONY: help build demo test unit lint e2e fuzz chaos restarts bench bench-relay clip image package sbom clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build ./zegorelay
	./scripts/build

demo: ## Show the main job on this machine for 45 s
	go run ./cmd/zegorelay demo --for 45s

test: ## Run everything that CI runs; installs what it needs
	./scripts/test

unit: ## Run the quick tests with the race detector
	go test -race ./...

lint: ## Run the linters
	./scripts/test lint

e2e: ## Run the real binary against real encoders
	./scripts/test e2e

fuzz: ## Run every fuzz target for 30 s
	./scripts/fuzz

chaos: ## Kill nodes by every way there is for 10 minutes
	./scripts/chaos

restarts: ## Restart and kill the daemon 50 times while 22 encoders are live
	./scripts/restarts

bench: ## Run the benchmarks
	go test -run "^$$" -bench . -benchmem ./...

bench-relay: ## Measure the relay beside nginx-rtmp and a plain TCP proxy (about 30 minutes)
	go run ./scripts/bench -svg scripts/bench/growth.svg

clip: ## Make the test card's clip again
	./scripts/testclip

image: ## Build the container image
	docker build -t zegorelay --build-arg REVISION=$$(git rev-parse HEAD) \
		--build-arg VERSION=$$(git describe --tags --always --dirty) .

package: ## Build dist/*.deb for amd64 and arm64
	./scripts/package

sbom: build ## Write dist/zegorelay.cdx.json: what the binary is made of
	mkdir -p dist
	./scripts/sbom zegorelay dist/zegorelay.cdx.json

clean: ## Remove what was built
	rm -rf zegorelay dist .tools
