# make        set up once, run the pipeline, show the scores
# make team   the same set-up with what S3 and SSH remotes need, docs/team.md
# make test   set up for development, then lint, types and tests
# make sweeps install what `dvc repro sweeps/dvc.yaml` needs besides (docs/scale.md)
# make bench  measure the pipeline beside its peers (benchmarks/README.md); ROWS='no-op epoch' some
# make lock   resolve pyproject.toml anew into the requirements files

SHELL := /bin/bash
PYTHON ?= python3
# DVC takes python from the PATH, and so does the worker of its queue.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: reproduce team sweeps test bench setup lock
.NOTPARALLEL:  # `setup` needs what the target before it installs

reproduce: .venv/installed setup
	@python -m tools.check
	@dvc repro
	@echo; dvc metrics show
	@echo; echo "Plots: 'source .venv/bin/activate', then 'dvc plots show --open'; figures: reports/figures/"

team: .venv/installed-team setup

sweeps: .venv/installed-sweeps setup

test: .venv/installed-dev setup
	ruff check .
	ruff format --check .
	mypy
	pytest --numprocesses auto --dist loadscope

bench: .venv/installed-bench setup
	@python -m benchmarks.speed $(ROWS)

# A path of this machine, so it stands in the file that Git ignores. DVC's default site cache is
# a folder that every user of the machine can write to (CVE-2025-69872).
setup:
	@grep -qsF "$(CURDIR)/.dvc/tmp/site" .dvc/config.local || \
	  dvc config --local core.site_cache_dir "$(CURDIR)/.dvc/tmp/site"
	@python -m tools.plots_bundle

.venv/installed: requirements.txt
	@PYTHON="$(PYTHON)" tools/make_venv.sh
	@python -m pip install --quiet --require-hashes -r $<
	@touch $@

.venv/installed-%: requirements-%.txt
	@PYTHON="$(PYTHON)" tools/make_venv.sh
	@python -m pip install --quiet --require-hashes -r $<
	@touch $@ .venv/installed

.venv/installed-bench: requirements-bench.txt | .venv/installed
	@python -m pip install --quiet -r $<
	@touch $@

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

lock: .venv/installed-dev
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) pyproject.toml --extra s3 --extra ssh -c requirements.txt -o requirements-team.txt
	$(LOCK) pyproject.toml --extra sweeps -c requirements.txt -o requirements-sweeps.txt
	$(LOCK) pyproject.toml --all-extras --group dev -c requirements.txt -o requirements-dev.txt
