"""One measured run of a recipe: train and evaluate as `dvc repro` does, in a copy of a commit."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import machine
from stages.run.versions import installed_version
from stages.run.yaml_files import read_yaml

LIBRARIES = ("tensorflow", "keras")
SPREAD = "of its threads"  # stands in the column machine of a run that did not have it alone


class RecipeRun(NamedTuple):
    recipe: str
    seed: int


def measure_recipe(commit: Path, asked: RecipeRun, threads: int | None = None) -> dict[str, object]:
    """Run the recipe with its seed in a copy of `commit`, a folder with a commit's files.

    `threads` replaces the recipe's own number of threads.

    Returns scores on test images, size, seconds of `train`, machine and versions. Raises
    RuntimeError with a command's output if it fails.
    """
    with tempfile.TemporaryDirectory() as place:
        project = Path(place) / "project"
        shutil.copytree(commit, project)
        run_module(project, "tools.recipe", asked.recipe)
        params = (project / "params.yaml").read_text(encoding="utf-8")
        params = re.sub(r"(?m)^seed: \d+", f"seed: {asked.seed}", params)
        if threads:
            params = re.sub(r"(?m)^  threads: \d+", f"  threads: {threads}", params)
        (project / "params.yaml").write_text(params, encoding="utf-8")
        used = int(re.findall(r"(?m)^  threads: (\d+)", params)[0])
        run_project_stage(project, "fetch")
        run_project_stage(project, "preprocess")
        start = time.perf_counter()
        run_project_stage(project, "train")
        seconds = time.perf_counter() - start
        run_project_stage(project, "evaluate")
        test = json.loads((project / "reports/test.json").read_text(encoding="utf-8"))
        validation = json.loads((project / "reports/validation.json").read_text(encoding="utf-8"))
    return {
        **{column: test[column] for column in ("accuracy", "accuracy_trusted")},
        "parameters": validation["parameters"],
        "threads": used,
        "train_seconds": f"{seconds:.1f}",
        "machine": machine(),
        "versions": " ".join(
            f"{name} {installed_version(name)}" for name in ("tensorflow", "keras")
        ),
    }


def run_project_stage(project: Path, stage: str) -> None:
    """Run the stage with the paths that the project's dvc.yaml gives it."""
    pipeline: Any = read_yaml(project / "dvc.yaml")
    words = pipeline["stages"][stage]["cmd"].split()
    run_module(project, "stages.run", *words[words.index(stage) :])


def run_module(project: Path, module: str, *words: str) -> None:
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
