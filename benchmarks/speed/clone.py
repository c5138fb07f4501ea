"""Clones of the project to measure in: nothing of the user's work tree or DVC cache is touched."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.machine import ROOT
from benchmarks.speed import measure
from stages.run.keys import get_value, set_value

STAGE_COMMAND = ("python", "-E", "-m", "stages.run")
STAGE_PATHS = {
    "preprocess": ["data", "data/raw", "data/processed", "reports"],
    "train": ["data/processed", "models", "reports"],
    "evaluate": ["models", "data/processed", "reports"],
}  # as dvc.yaml calls them; tests/benchmarks compares


@dataclass
class Clone:
    """A folder with the project in it, and commands that run there as a user's would."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> measure.Measurement:
        return measure.run_process(command, self.folder, self.environment)

    def stage(self, name: str) -> measure.Measurement:
        """A stage's process by itself, as DVC starts it."""
        return self.run(*STAGE_COMMAND, name, *STAGE_PATHS[name])

    def params(self) -> dict[str, Any]:
        values: dict[str, Any] = YAML(typ="safe").load(self.folder / "params.yaml")
        return values

    def edit(self, values: dict[str, object]) -> None:
        """Set keys of params.yaml such as {"train.epochs": 2}. Raises KeyError for unknown ones."""
        yaml = YAML()
        path = self.folder / "params.yaml"
        params = yaml.load(path)
        for key, value in values.items():
            if get_value(params, key) is None:
                raise KeyError(f"{path}: there is no {key} to set")
            set_value(params, key, value)
        yaml.dump(params, path)


def clone_environment(folder: Path) -> dict[str, str]:
    """The caller's, with this Python first on the PATH and DVC's site cache in `folder`.

    Left out is what makes Git or DVC look elsewhere, and what would slow a peer down.
    """
    slowing = ("DVC", "GIT_", "OPENBLAS", "OMP_", "MKL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(slowing)}
    return kept | {
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def make_clone(folder: Path) -> Clone:
    """The project's last commit in `folder`, nothing run, DVC's cache empty."""
    command = ["git", "clone", "--quiet", str(ROOT), str(folder)]
    subprocess.run(command, check=True)
    return Clone(folder, clone_environment(folder.with_name(f"{folder.name}-environment")))
