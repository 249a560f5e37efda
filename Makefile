# Every target sets up its own virtual environment in .venv when it is missing or
# older than pyproject.toml; nothing else has to be installed but Python 3.11 or later.

PYTHON ?= $(shell python3.11 -c "" 2>/dev/null && echo python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
DEMO_STAMP := $(VENV)/.installed-demo

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help demo test browser test-large test-torch lint format build bazel \
  benchmark clean

help:
	@echo "make demo        compress a small network on handwritten digits (5 minutes)"
	@echo "make test        the tests that need no download"
	@echo "make browser     install Chromium for the test of the report (as root)"
	@echo "make test-large  the tests that take long: all of keras.applications"
	@echo "make test-torch  the backends' tests on PyTorch, which it installs"
	@echo "make lint        ruff: rules and formatting; mypy: types"
	@echo "make format      ruff: repair what can be repaired"
	@echo "make build       write the BUILD files again from the imports of the code"
	@echo "make bazel       build with Bazel, without network; run some tests by it"
	@echo "make benchmark   time svd_basis against numpy.linalg.svd"
	@echo "make clean       remove the environment and everything that was built"

# What the demo needs is part of what development needs.
$(VENV)/.installed-%: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

demo: $(DEMO_STAMP)
	$(BIN)/python -m examples.digits_demo --output_dir=demo_output

test: $(STAMP) browser
	$(BIN)/python -m pytest -n 2

# One test opens the report in a browser; without one it is skipped.
browser:
	@if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes \
	      --no-install-recommends chromium chromium-driver) >/dev/null 2>&1; \
	  fi; \
	  command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	    echo "No Chromium and chromedriver: the test in a browser will be skipped."; \
	fi

test-large: $(STAMP)
	$(BIN)/python -m pytest -m large

# PyTorch alone is installed in an environment of its own; all else is that of .venv. On
# Linux, `torch` brings CUDA along (gigabytes). Where pip finds a wheel without it:
# make test-torch TORCH=torch==2.13.0+cpu
TORCH ?= torch
TORCH_VENV := .venv-torch
TORCH_STAMP := $(TORCH_VENV)/.installed
TORCH_TESTS := tests/backends_test.py $(wildcard tests/*_backends_test.py) \
  tests/export_elsewhere_test.py tests/reloaded_test.py tests/training_recover_test.py
SITE := import sysconfig; print(sysconfig.get_path("purelib"))

$(TORCH_STAMP): $(STAMP)
	$(PYTHON) -m venv $(TORCH_VENV)
	echo "import site; site.addsitedir('$$($(abspath $(BIN))/python -c '$(SITE)')')" \
	  > "$$($(TORCH_VENV)/bin/python -c '$(SITE)')/of_development.pth"
	$(TORCH_VENV)/bin/python -m pip install --quiet "$(TORCH)"
	touch $@

test-torch: $(TORCH_STAMP)
	$(TORCH_VENV)/bin/python -m pytest -k torch $(TORCH_TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

build: $(STAMP)
	$(BIN)/python -m tools.write_build

# Debian's bazel-bootstrap; the libraries are those of .venv (see WORKSPACE). Any other
# test: make bazel BAZEL_TESTS=//tests:plan_test
BAZEL_TESTS ?= //tests:build_test //tests:imports_test //tests:linalg_removal_order_test

bazel: $(STAMP)
	@command -v bazel >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes \
	    --no-install-recommends bazel-bootstrap) >/dev/null 2>&1; \
	} || { echo "No Bazel: run apt-get install bazel-bootstrap as root."; exit 1; }
	PATH="$(abspath $(BIN)):$$PATH" bazel build //...
	PATH="$(abspath $(BIN)):$$PATH" bazel test $(BAZEL_TESTS)

# What MODULE.bazel pins for Bazel 7 and later.
requirements_lock.txt: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable > $@

benchmark: $(STAMP)
	$(BIN)/python -m benchmarks.svd_basis

clean:
	rm -rf $(VENV) $(TORCH_VENV) build dist *.egg-info demo_output .hypothesis .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
