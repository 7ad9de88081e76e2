# make setup           install everything into .venv (DEVICE=cpu|cuda|xpu|rocm)
# make demo            restore the built-in demo tape on the CPU
# make demo-models     train the demo's models again
# make check           linters and types
# make docs            generated files: reference tables, rule graph, schemas of records
#
# make test            unit tests, static checks, one reference tape: about eight minutes on two cores
# make test-workflow   all tests that start Snakemake
# make test-long       tests that take minutes each
# make test-crash      50 kills at random moments (KILLS=, SEED=), each tape byte for byte the same: half an hour
# make test-injection  one call of the run fails, or is the last one: all call sites, hours (POINTS=, SITE=, SEED=)
# make test-hostile    240 damaged captures through all stages (SEED=number repeats a run)
# make test-slurm      a tape through a real Slurm of one node, set up in /etc/slurm and removed again (Debian, root)
# make test-gpu        tests that need a GPU, and fail without one (DEVICE=cuda|xpu|rocm)
# make setup-ipex      install everything with Intel's extension for PyTorch into .venv-ipex: 7 GB without a TORCH_INDEX
# make test-ipex       a recognition and a network through Intel's extension, on the processor
#
# make bench           the filter path
# make bench-lanes, make bench-subtitles   scheduler; warm workers: a quarter of an hour each
# make bench-resume    a tape of 1,000 scenes: planning, continuing after kill -9: a quarter of an hour
# make bench-scale     planning of 1, 10 and 100 tapes of 700 scenes: half an hour
# make bench-archive   10 tapes of 50 scenes end to end: half an hour
# make bench-plan      predicted and real durations of the demo tape, twice: half an hour
# make bench-ipex      a recognition and a network with and without Intel's extension: two minutes
# make bench-content   share of the hashes of clips and audio in a tape's time: ten minutes
# make bench-networks  overhead around a frame model, and VRT alone

SHELL := /bin/bash
PYTHON ?= python3
DEVICE ?= cpu
KILLS ?= 50
SEED ?=
# Of the points at which a fault is injected: how many, those that cover most call sites first, and which (a regular expression).
POINTS ?=
SITE ?=
# Address of PyTorch's wheel index for the device, as pytorch.org/get-started shows it. Empty: pip's own index.
TORCH_INDEX ?=
# The same for Intel's extension (make setup-ipex), and its version: that for GPUs is in Intel's index.
IPEX_INDEX ?=
IPEX ?= 2.8.0

VENV := .venv
BIN := $(VENV)/bin
DEPENDENCIES := $(VENV)/dependencies-$(DEVICE)
INSTALLED := $(VENV)/installed-$(DEVICE)
IPEX_VENV := .venv-ipex
IPEX_INSTALLED := $(IPEX_VENV)/installed-$(IPEX)
PIP_INSTALL := pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

.PHONY: setup dependencies demo demo-models test test-workflow test-long test-crash test-injection test-hostile test-gpu test-slurm setup-ipex test-ipex check bench bench-lanes bench-subtitles \
	bench-resume bench-scale bench-archive bench-networks bench-plan bench-content bench-ipex docs

setup: $(INSTALLED)

# All packages that Tapemill uses, without Tapemill itself: an image gets the project as a mount.
dependencies: $(DEPENDENCIES)

# torch is installed first, in its exact version: otherwise other packages would bring a newer one with gigabytes of CUDA.
# The lock is complete, so pip resolves nothing after that; torch brings its own triton (README, Set-up for GPUs).
$(DEPENDENCIES): requirements.lock
	@case "$(DEVICE)" in cpu|cuda|xpu|rocm) ;; *) echo "DEVICE is '$(DEVICE)': it must be cpu, cuda, xpu or rocm" >&2; exit 2;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Tapemill needs Python 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/$(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/$(PIP_INSTALL) --no-deps -r requirements.lock
	touch $@

# Editable: the library is run from this folder, and so is the scheduler plugin, which Snakemake finds by its name.
$(INSTALLED): $(DEPENDENCIES) pyproject.toml
	$(BIN)/$(PIP_INSTALL) --no-deps --editable .
	touch $@

# Intel's extension ended with torch 2.8, so it gets an environment of its own: the lock with the few packages of
# envs/ipex.lock instead. pip's own torch brings gigabytes of CUDA, which it needs to start; TORCH_INDEX avoids them.
setup-ipex: $(IPEX_INSTALLED)

$(IPEX_INSTALLED): requirements.lock envs/ipex.lock pyproject.toml
	$(PYTHON) -m venv --clear $(IPEX_VENV)
	grep -vE '^(torch|torchvision)==' requirements.lock > $(IPEX_VENV)/requirements.lock
	$(IPEX_VENV)/bin/$(PIP_INSTALL) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c $(IPEX_VENV)/requirements.lock -r envs/ipex.lock
	$(IPEX_VENV)/bin/$(PIP_INSTALL) --no-deps $(if $(IPEX_INDEX),--extra-index-url $(IPEX_INDEX)) intel-extension-for-pytorch==$(IPEX)
	$(IPEX_VENV)/bin/$(PIP_INSTALL) --no-deps -r $(IPEX_VENV)/requirements.lock
	$(IPEX_VENV)/bin/$(PIP_INSTALL) --no-deps --editable .
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
	$(PYTEST) tests/golden tests/unit tests/static -m "not long"

# Everything else that starts Snakemake or disturbs it, but for tests that take minutes each.
test-workflow: setup
	$(PYTEST) tests/workflow tests/e2e tests/faults tests/hostile tests/crash tests/injection -m "not long"

test-long: setup
	$(PYTEST) -m long

test-crash: setup
	TAPEMILL_KILLS=$(KILLS) $(if $(SEED),TAPEMILL_SEED=$(SEED)) $(BIN)/pytest -s tests/crash

# Every point is two runs of a small tape. Needs a C compiler.
test-injection: setup
	$(BIN)/python -m tests.injection.drive $(if $(POINTS),--points $(POINTS)) $(if $(SITE),--site '$(SITE)') $(if $(SEED),--seed $(SEED))

# More than a hundred of 240 inputs become tapes; none may crash or hang.
test-hostile: setup
	$(BIN)/python -m tests.hostile.drive --inputs 240 $(if $(SEED),--seed $(SEED))

# The GPU is required here, so that tests do not pass by being skipped.
test-gpu: setup
	TAPEMILL_EXPECT_GPU=$(DEVICE:rocm=hip) $(BIN)/pytest tests/gpu

# The extension is required here, like the GPU above.
test-ipex: setup-ipex
	TAPEMILL_EXPECT_IPEX=1 $(IPEX_VENV)/bin/pytest tests/ipex

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

bench-content: setup
	$(BIN)/python -m tests.benchmarks.bench_content_check

bench-ipex: setup-ipex
	$(IPEX_VENV)/bin/python -m tests.benchmarks.bench_ipex

bench-networks: setup
	$(BIN)/python -m tests.benchmarks.bench_networks
	$(BIN)/python -m tests.benchmarks.bench_vrt

docs: setup
	$(BIN)/python -m tools.docs
