PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
BUILT := _build/.complete
PORT ?= 8000
LAB_SETTINGS := .venv/share/jupyter/lab/settings/overrides.json

help:  ## say what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 10

book: $(READY)  ## build the book, and print where to open it
	@# What the last build left is only trusted if that build went through, with the same builder and look.
	@if [ ! -e $(BUILT) ] || [ -n "$$(find book/_ext/*.py _config.yml esgd_minimal/figures.py -newer $(BUILT))" ]; then \
	    rm -rf _build/.doctrees; fi
	@rm -f $(BUILT)
	$(BIN)/jupyter-book build book --config _config.yml --path-output . -n -W --keep-going -q
	@touch $(BUILT)
	@echo "The book is built. Open $(CURDIR)/_build/html/index.html"

test: $(READY)  ## run the tests (SLOW=1: the slow ones too)
	$(BIN)/pytest -n 2 $(if $(SLOW),-m 'not benchmark')

bench: $(READY)  ## measure speed, as ratios; nothing else should be running
	$(BIN)/pytest -m benchmark --benchmark-enable --benchmark-only tests/benchmarks

check: $(READY)  ## lint and check types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: $(READY)  ## open the chapters as notebooks in JupyterLab
	@# A double click on a chapter opens it as a notebook, not as text.
	@mkdir -p $(dir $(LAB_SETTINGS))
	@$(BIN)/jupytext-config --settings-file $(LAB_SETTINGS) set-default-viewer markdown myst
	$(BIN)/jupyter lab book $(LAB_OPTIONS)

serve: book  ## build the book and serve it on localhost
	@echo "The book: http://localhost:$(PORT)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

clean:  ## remove what was built, and the environment
	rm -rf _build .jupyter_cache .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks *.egg-info

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
	    f"The book needs Python 3.11 to 3.13, and this is {sys.version.split()[0]}. Say which one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --no-compile --requirement requirements.txt
	$(BIN)/pip install --quiet --no-compile --no-deps --no-build-isolation --editable .
	@# Kernels warn at every start that they talk over a local port; the book starts one for each chapter.
	@mkdir -p .venv/etc/ipython
	@echo 'c.IPKernelApp.log_level = "ERROR"' > .venv/etc/ipython/ipython_kernel_config.py
	@touch $(READY)

.PHONY: help book test bench check lab serve clean
.DEFAULT_GOAL := help
