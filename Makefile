# make        set up once, run the pipeline, show the scores
# make quick  lint, types and unit tests but for trainings, about a minute
# make test   lint, types and every test
# make dev    add what those two need, without running them
# make team   add what S3 and SSH remotes need (docs/team.md)
# make serve  answer over HTTP what images show (docs/serving.md)
# make gpu    put in TensorFlow for an NVIDIA GPU (Linux)
# make sweeps add what `python -m sweeps` needs (docs/scale.md)
# make bench  measure the pipeline beside its peers (benchmarks/README.md); ROWS='no-op epoch' some
# make lock   resolve pyproject.toml into requirements/; UPGRADE='numpy scipy' moves those two

SHELL := /bin/bash
# DVC takes python from the PATH, and so does the worker of its queue.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONWARNINGS  # they keep `python -m` from working

.PHONY: reproduce quick test dev team sweeps serve gpu bench setup lock
.NOTPARALLEL:  # `setup` needs what the target before it installs

reproduce: venv-pipeline setup
	@python -m tools.check
	@dvc repro
	@echo; dvc metrics show
	@echo; echo "Plots: 'source .venv/bin/activate', then 'dvc plots show --open'; figures: reports/figures/"

dev: venv-dev setup

team: venv-team setup

sweeps: venv-sweeps setup

serve: venv-serve setup
	@python -m serving

quick: venv-dev setup
	ruff check .
	ruff format --check .
	mypy
	pytest --numprocesses auto --dist loadscope -m 'not project and not slow'

test: venv-dev setup
	ruff check .
	ruff format --check .
	mypy
	pytest --numprocesses auto --dist loadscope

gpu: venv-pipeline setup
	pip uninstall --quiet --yes tensorflow tensorflow-cpu
	pip install --quiet -r requirements/gpu.txt

bench: venv-pipeline venv-bench venv-serve setup
	@python -m benchmarks.speed $(ROWS)

setup: venv-pipeline
	@python -m tools.plots_bundle

# Runs each time: only a look at .venv finds that it was moved or interrupted.
venv-%:
	@PYTHON="$(PYTHON)" tools/make_venv.sh $*

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
  --no-header $(UPGRADE:%=--upgrade-package %)

lock: venv-dev
	$(LOCK) pyproject.toml -o requirements/pipeline.txt
	$(LOCK) pyproject.toml --extra s3 --extra ssh -c requirements/pipeline.txt -o requirements/team.txt
	$(LOCK) pyproject.toml --extra sweeps -c requirements/pipeline.txt -o requirements/sweeps.txt
	$(LOCK) pyproject.toml --extra serve -c requirements/pipeline.txt -o requirements/serve.txt
	$(LOCK) serving/requirements.in -c requirements/serve.txt -o serving/requirements.txt
	$(LOCK) pyproject.toml --all-extras --group dev -c requirements/pipeline.txt -o requirements/dev.txt
