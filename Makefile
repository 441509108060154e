# relaxnet: `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-oldest coverage lint types format docs notebooks bench bench-costs bench-networks bench-memory
.PHONY: bench-peers bench-bad-voxels bench-gpu
.PHONY: texture kill fuzz soak mutants release-check experiments gpu-paper paper-tables readme weights clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(STAMP)  ## Make .venv with relaxnet, all extras and the developer tools

$(STAMP): pyproject.toml constraints.txt weights/pyproject.toml viewer/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(f"relaxnet needs Python 3.11 or later, this is {sys.version.split()[0]}: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,docs,dev]' --editable ./weights --editable ./viewer
	@touch $@

demo: $(STAMP)  ## Simulate subjects, fit them, train a network without labels, and show maps and errors
	$(BIN)/relaxnet demo --overwrite

test test-oldest coverage: export PYTHONDONTWRITEBYTECODE :=  # tests that start a process would compile all modules again

test: $(STAMP)  ## Run the whole test suite, docstring examples included
	$(BIN)/pytest --numprocesses=auto --dist=loadgroup

coverage: $(STAMP)  ## The same, and report which lines and branches are tested
	$(BIN)/pytest --numprocesses=auto --dist=loadgroup --cov --cov-report=term

test-oldest:  ## Run the tests with the oldest versions that are allowed, which get their own environment
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt --editable '.[all]' --editable ./viewer beartype hypothesis pytest pytest-xdist
	.venv-oldest/bin/pytest --numprocesses=auto --dist=loadgroup -W ignore::DeprecationWarning

test-triton:  ## Run the tests of the kernel for GPUs in the interpreter of Triton, which gets its own environment; minutes
	$(PYTHON) -m venv .venv-triton
	.venv-triton/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all]' triton==3.7.0 beartype hypothesis pytest pytest-xdist
	TRITON_INTERPRET=1 .venv-triton/bin/pytest --numprocesses=auto --dist=loadgroup tests/fitting/test_fused.py

lint: $(STAMP)  ## Check style, docstrings and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m numpydoc.hooks.validate_docstrings $$(git ls-files 'relaxnet/*.py')

types: $(STAMP)  ## Check types, strictly
	$(BIN)/mypy

format: $(STAMP)  ## Put the code into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## Build the documentation and execute its examples; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html
	@echo "open docs/_build/html/index.html"

notebooks: docs  ## Put the executed examples into examples/notebooks, where a code host shows them
	$(BIN)/python docs/notebooks.py docs/_build/jupyter_execute/examples

bench: $(STAMP)  ## Measure the speed of the fits on this machine
	$(BIN)/python benchmarks/fitting.py

bench-gpu: $(STAMP)  ## Test and measure the fits and a network on a GPU; without one at a tiny size, to show that it runs
	$(BIN)/python benchmarks/gpu.py

bench-costs: $(STAMP)  ## Measure what a scan costs in processor time and memory
	$(BIN)/python benchmarks/costs.py

bench-networks: $(STAMP)  ## Measure a training step and a prediction beside the U-Net alone
	$(BIN)/python benchmarks/networks.py

bench-memory: $(STAMP)  ## Measure the memory that the fit of a memory-mapped scan of 3 GB takes
	$(BIN)/python benchmarks/memory.py

bench-peers: $(STAMP)  ## The same next to other packages, each in its own environment
	for peer in qmrpy==2.0.0 tedana==26.0.3 torchimize==0.0.16 optimistix==0.1.0 mrpro==0.261015; do \
	    $(PYTHON) -m venv benchmarks/.venv-$${peer%%=*} && \
	    benchmarks/.venv-$${peer%%=*}/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $$peer || exit 1; \
	done
	$(BIN)/python benchmarks/fitting.py $(foreach name,qmrpy tedana torchimize optimistix mrpro,--peer $(name)=benchmarks/.venv-$(name)/bin/python)

bench-bad-voxels: $(STAMP)  ## What relaxnet and other packages, each in its own environment, make of bad voxels
	for peer in qmrpy==2.0.0 ukat==0.7.3 tedana==26.0.3; do \
	    $(PYTHON) -m venv benchmarks/.venv-$${peer%%=*} && \
	    benchmarks/.venv-$${peer%%=*}/bin/python -m pip install --quiet --disable-pip-version-check $$peer || exit 1; \
	done
	$(BIN)/python benchmarks/bad_voxels.py $(foreach name,qmrpy ukat tedana,--of $(name) benchmarks/.venv-$(name)/bin/python)

texture: $(STAMP)  ## Compare the texture of digital livers with that of a real one
	$(BIN)/python benchmarks/texture.py

kill: $(STAMP)  ## Interrupt commands at random moments, and see that nothing is lost; an hour
	$(BIN)/python campaigns/kill.py

fuzz: $(STAMP)  ## Feed the readers with damaged files; ten minutes
	$(BIN)/python campaigns/fuzz.py

soak: $(STAMP)  ## Work in one process, and see that nothing grows; ten minutes
	$(BIN)/python campaigns/soak.py

mutants: $(STAMP)  ## Change the code in many places, and see that the tests notice; an hour
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'cosmic-ray>=8.4'
	$(BIN)/python campaigns/mutants.py

release-check: $(STAMP)  ## Build the release, and see that it installs, works and tests itself anywhere; an hour
	$(BIN)/python campaigns/release.py

experiments: $(STAMP)  ## Repeat the experiments on digital subjects; hours on two cores, can be interrupted
	$(BIN)/relaxnet experiment all --preset laptop

gpu-paper: $(STAMP)  ## Table II at the size of the paper, several networks at a time on one GPU
	$(BIN)/relaxnet experiment table2 --preset paper --seeds 1 --jobs 8

FIGURES ?= png
paper-tables: $(STAMP)  ## Write the committed results of the experiments as Markdown, LaTeX and figures; FIGURES=pdf for print
	$(BIN)/python -c "import relaxnet.experiments as e; print(*(f for name in ('laptop', 'laptop-smooth') for f in e.render(f'results/{name}', figures='$(FIGURES)')), sep='\n')"

readme: $(STAMP)  ## Run the demo and put its figure and table into docs/demo and the README
	$(BIN)/python docs/refresh.py --demo

weights: $(STAMP)  ## Train the network of relaxnet-weights, and measure what it is worth; an hour, can be interrupted
	$(BIN)/python weights/train.py weights/run
	$(BIN)/python weights/evaluate.py controls
	$(BIN)/python weights/evaluate.py network weights/run

clean:  ## Remove .venv, caches and built documentation
	rm -rf $(VENV) .venv-oldest .venv-release .venv-triton benchmarks/.venv* results/.cache build dist docs/_build docs/api docs/examples .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
