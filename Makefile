# make        set up once, run the pipeline, show the scores
# make quick  lint, types and unit tests, within a minute
# make test   lint, types and every test
# make dev    add what those two need, without running them
# make team   add what S3 and SSH remotes need (docs/team.md)
# make sweeps add what `python -m sweeps` needs (docs/scale.md)
# make bench  measure the pipeline beside its peers (benchmarks/README.md); ROWS='no-op epoch' some
# make lock   resolve pyproject.toml into requirements/; UPGRADE='numpy scipy' moves those two

SHELL := /bin/bash
PYTHON ?= python3
# DVC takes python from the PATH, and so does the worker of its queue.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: reproduce quick test dev team sweeps bench setup lock
.NOTPARALLEL:  # `setup` needs what the target before it installs

reproduce: .venv/installed setup
	@python -m tools.check
	@dvc repro
	@echo; dvc metrics show
	@echo; echo "Plots: 'source .venv/bin/activate', then 'dvc plots show --open'; figures: reports/figures/"

dev: .venv/installed-dev setup

team: .venv/installed-team setup

sweeps: .venv/installed-sweeps setup

quick: .venv/installed-dev setup
	ruff check .
	ruff format --check .
	mypy
	pytest --numprocesses auto --dist loadscope -m 'not project'

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

.venv/installed: requirements/pipeline.txt
	@PYTHON="$(PYTHON)" tools/make_venv.sh
	@python -m pip install --quiet --require-hashes -r $<
	@touch $@

.venv/installed-%: requirements/%.txt
	@PYTHON="$(PYTHON)" tools/make_venv.sh
	@python -m pip install --quiet --require-hashes -r $<
	@touch $@ .venv/installed

.venv/installed-bench: requirements/bench.txt | .venv/installed
	@python -m pip install --quiet -r $<
	@touch $@

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header $(UPGRADE:%=--upgrade-package %)

lock: .venv/installed-dev
	$(LOCK) pyproject.toml -o requirements/pipeline.txt
	$(LOCK) pyproject.toml --extra s3 --extra ssh -c requirements/pipeline.txt -o requirements/team.txt
	$(LOCK) pyproject.toml --extra sweeps -c requirements/pipeline.txt -o requirements/sweeps.txt
	$(LOCK) pyproject.toml --all-extras --group dev -c requirements/pipeline.txt -o requirements/dev.txt
