# make setup           install everything into .venv (DEVICE=cpu|cuda|xpu)
# make demo            restore the built-in demo tape on the CPU
# make demo-models     train the demo's models again
# make check           linters and types
# make docs            generated files: reference tables, rule graph, schemas of records
#
# make test            unit tests, static checks, one reference tape: about five minutes
# make test-workflow   all tests that start Snakemake
# make test-long       tests that take minutes each
# make test-crash      50 kills at random moments (KILLS=, SEED=), each tape byte for byte the same: half an hour
# make test-hostile    240 damaged captures through all stages (SEED=number repeats a run)
# make test-slurm      a tape through a real Slurm of one node, set up in /etc/slurm and removed again (Debian, root)
# make test-gpu        tests that need a GPU, and fail without one (DEVICE=cuda|xpu)
#
# make bench           the filter path
# make bench-lanes, make bench-subtitles   scheduler; warm workers: a quarter of an hour each
# make bench-resume    a tape of 1,000 scenes: planning, continuing after kill -9: a quarter of an hour
# make bench-scale     planning of 1, 10 and 100 tapes of 700 scenes: half an hour
# make bench-archive   10 tapes of 50 scenes end to end: half an hour
# make bench-plan      predicted and real durations of the demo tape, twice: half an hour
# make bench-networks  overhead around a frame model, and VRT alone

SHELL := /bin/bash
PYTHON ?= python3
DEVICE ?= cpu
KILLS ?= 50
SEED ?=
# Address of PyTorch's wheel index for the device, as pytorch.org/get-started shows it. Empty: pip's own index.
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
DEPENDENCIES := $(VENV)/dependencies-$(DEVICE)
INSTALLED := $(VENV)/installed-$(DEVICE)
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

.PHONY: setup dependencies demo demo-models test test-workflow test-long test-crash test-hostile test-gpu test-slurm check bench bench-lanes bench-subtitles \
	bench-resume bench-scale bench-archive bench-networks bench-plan docs

setup: $(INSTALLED)

# All packages that Tapemill uses, without Tapemill itself: an image gets the project as a mount.
dependencies: $(DEPENDENCIES)

# torch is installed first, in its exact version: otherwise other packages would bring a newer one with gigabytes of CUDA.
# The lock is complete, so pip resolves nothing after that; torch brings its own triton (README, Set-up for GPUs).
$(DEPENDENCIES): requirements.lock
	@case "$(DEVICE)" in cpu|cuda|xpu) ;; *) echo "DEVICE is '$(DEVICE)': it must be cpu, cuda or xpu" >&2; exit 2;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tapemill needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	touch $@

# Editable: the library is run from this folder, and so is the scheduler plugin, which Snakemake finds by its name.
$(INSTALLED): $(DEPENDENCIES) pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: setup
	$(BIN)/snakemake --profile profiles/cpu score_demo results/demo/report/making.html
	$(BIN)/snakemake --profile profiles/cpu results/demo/report/making.html --report demo.html

# Hours: an hour of training for the speech model, most of another for the network's pairs and the evaluations.
demo-models: setup
	$(BIN)/snakemake --profile profiles/cpu resources/demo/capture.mkv
	$(BIN)/snakemake --snakefile demo/training/Snakefile --cores all

# What a newcomer runs: unit tests, static checks of the workflow, one whole tape.
test: setup
	$(PYTEST) tests/unit tests/static tests/golden -m "not long"

# Everything else that starts Snakemake or disturbs it, but for tests that take minutes each.
test-workflow: setup
	$(PYTEST) tests/workflow tests/e2e tests/faults tests/hostile tests/crash -m "not long"

test-long: setup
	$(PYTEST) -m long

test-crash: setup
	TAPEMILL_KILLS=$(KILLS) $(if $(SEED),TAPEMILL_SEED=$(SEED)) $(BIN)/pytest -s tests/crash

# More than a hundred of 240 inputs become tapes; none may crash or hang.
test-hostile: setup
	$(BIN)/python -m tests.hostile.drive --inputs 240 $(if $(SEED),--seed $(SEED))

# The GPU is required here, so that tests do not pass by being skipped.
test-gpu: setup
	TAPEMILL_EXPECT_GPU=$(DEVICE) $(BIN)/pytest tests/gpu

# Slurm is required here, like the GPU above.
test-slurm: setup
	TAPEMILL_EXPECT_SLURM=1 $(BIN)/pytest tests/slurm

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules demo/training/Snakefile tests/workflow/fixtures/*.smk
	$(BIN)/mypy
	$(BIN)/snakemake --lint
	$(BIN)/pre-commit validate-config

bench: setup
	$(BIN)/python -m tests.benchmarks.bench_filter_path --scenes 2 --scene-s 8

bench-lanes: setup
	$(BIN)/python -m tests.benchmarks.bench_lanes

bench-subtitles: setup
	$(BIN)/python -m tests.benchmarks.bench_subtitles

bench-resume: setup
	$(BIN)/python -m tests.benchmarks.bench_resume

bench-scale: setup
	$(BIN)/python -m tests.benchmarks.bench_scale

bench-archive: setup
	$(BIN)/python -m tests.benchmarks.archive

bench-plan: setup
	$(BIN)/python -m tests.benchmarks.bench_plan

bench-networks: setup
	$(BIN)/python -m tests.benchmarks.bench_networks
	$(BIN)/python -m tests.benchmarks.bench_vrt

docs: setup
	$(BIN)/python -m tools.docs
