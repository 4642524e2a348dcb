# Blueprint's front door. Needs make and Python 3.11 or 3.12; everything else it brings itself.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell .ci/find-python)
UV_VERSION := 0.13.9
# One more than two cores: many tests wait for Airflow, a cluster or an image.
PYTEST_WORKERS ?= 3
# Numerical libraries would start a thread a core in every process; stages count processes themselves.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export PYTHONPATH := $(CURDIR)
# A process that finds no bytecode compiles hundreds of modules at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show what there is
	@echo "Blueprint: from a reconstructed scene to a delivered dataset."
	@echo
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*?## "} {printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: install opengl ## Run the real DAG on the sample scene; ends with the path of a delivered bundle; DEMO_ARGS="--help"
	@$(BIN)/python -m operators.demo $(DEMO_ARGS)

.PHONY: test
test: install opengl ## All tests
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(TEST_ARGS)

.PHONY: coverage
coverage: install opengl ## All tests, with coverage: tracing every line takes half as long again
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup --cov --cov-report=term $(TEST_ARGS)

.PHONY: check
check: lint ## Lint, types, secrets, data files, unit tests: under two minutes
	@$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) --dist loadgroup -m "not slow and not e2e" $(TEST_ARGS)

.PHONY: explore
explore: install opengl ## The property tests on examples that they have not seen; what they find is printed with its seed
	@grep -rlE "from hypothesis|import hypothesis" tests --include='test_*.py' \
		| xargs $(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) --dist loadgroup --hypothesis-profile explore $(TEST_ARGS)

.PHONY: bench
bench: install opengl ## Every benchmark against its peer; BENCH_ARGS="--size small" for a try
	@$(BIN)/python -m benchmarks.run_all $(BENCH_ARGS)

.PHONY: lint
lint: install ## Lint, types, dependencies, secrets, and every file parsed and imported
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/deptry include operators plugins dags
	@$(BIN)/python .ci/check_files.py

.PHONY: up
up: install opengl ## Airflow's UI with DAGs, connections, pools and variables loaded; Ctrl-C ends it; UP_ARGS="--port 8081"
	@$(BIN)/python -m operators.embedded.up $(UP_ARGS)

.PHONY: install
install: $(VENV)/.installed ## The environment in .venv, exactly as locked

.PHONY: certify-env
certify-env: .venv-certify/.installed ## The environment in .venv-certify that holds lerobot and the public graders

.PHONY: peer-env
peer-env: .venv-robosuite/.installed ## The environment in .venv-robosuite that holds the peer of a benchmark (1.2 GB)

.PHONY: opengl
opengl: $(VENV)/.opengl ## OpenGL without a screen (EGL or OSMesa), or the renderer that needs none

.PHONY: format
format: install ## Format the code, mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: hooks
hooks: install ## Install the pre-commit hooks
	@$(BIN)/pre-commit install

COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header
.PHONY: lock
lock: install ## Compile the locks anew from pyproject.toml
	@$(COMPILE) --group airflow --group dev --group job -o requirements.txt
	@$(COMPILE) --group job -c requirements.txt -o requirements-job.txt
	@$(COMPILE) --group airflow --group job -c requirements.txt -o requirements-airflow.txt
	@$(MAKE) lock-torch
	@printf 'robosuite==1.5.2\nmujoco==3.3.7\n' | $(BIN)/uv pip compile - --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header -o benchmarks/peers/requirements-robosuite.txt

TORCH := 2.13.0
.PHONY: lock-torch
lock-torch: install ## Lock the torch of the image certify, with the files that this machine's index has: CUDA's, or the smaller CPU build
	@echo "torch==$(TORCH)" | $(BIN)/uv pip compile - --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header -c requirements-certify.txt -o requirements-torch.txt

.PHONY: docs
docs: architecture ## Write docs/errors.md from the error classes, and the picture of the rooms
	@$(BIN)/python -m blueprint_pipeline.error_reference > docs/errors.md.part
	@mv docs/errors.md.part docs/errors.md

.PHONY: architecture
architecture: install ## Draw docs/images/architecture.svg from the rooms and their imports
	@$(BIN)/python -m architecture.picture > docs/images/architecture.svg.part
	@mv docs/images/architecture.svg.part docs/images/architecture.svg

.PHONY: sbom
sbom: install ## Bills of materials of the images, CycloneDX
	@mkdir -p dist
	@for image in job airflow; do \
		$(BIN)/cyclonedx-py requirements requirements-$$image.txt --pyproject pyproject.toml --output-reproducible --of JSON -o dist/sbom-$$image.cdx.json; \
	done

.PHONY: changelog
changelog: install ## Write CHANGELOG.md from the commits
	@$(BIN)/git-cliff --config pyproject.toml -o CHANGELOG.md

.PHONY: clean
clean: ## Remove what was made: environments, Airflow's home, workspace, caches
	rm -rf .venv .venv-certify .venv-robosuite .airflow .bpp .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks dist .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv is fast and knows the excluded packages; where it cannot reach the index that pip is configured for, pip installs the same lock.
$(VENV)/.installed: requirements.txt pyproject.toml hatch_build.py $(wildcard include/blueprint_pipeline/simulation/*/*/*.proto)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and was not found. Install it (Debian: apt-get install python3), or set PYTHON=/path/to/python." >&2; exit 69; }
	@test -x $(BIN)/python || .ci/make-venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "Installing the locked environment into $(VENV) ..."
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode --require-hashes requirements.txt \
		|| { echo "uv could not; trying pip." >&2; $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.txt; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e . \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

.venv-certify/.installed: requirements-certify.txt requirements-certify-oldest.txt $(VENV)/.installed .ci/make-certify-env
	@test -x .venv-certify/bin/python || .ci/make-venv $(PYTHON) .venv-certify
	@echo "Installing lerobot, torch and the public graders into .venv-certify ..."
	@.ci/make-certify-env $(BIN) .venv-certify
	@touch $@

.venv-robosuite/.installed: benchmarks/peers/requirements-robosuite.txt $(VENV)/.installed
	@test -x .venv-robosuite/bin/python || .ci/make-venv $(PYTHON) .venv-robosuite
	@echo "Installing robosuite into .venv-robosuite ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python .venv-robosuite/bin/python --require-hashes --no-deps -r $<
	@touch $@

$(VENV)/.opengl: $(VENV)/.installed .ci/system-opengl
	@.ci/system-opengl $(BIN)
	@touch $@
