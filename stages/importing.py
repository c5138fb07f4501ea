"""Importing a stage's code: quietly, and without what its packages import for nothing."""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# What a package would import only because it is installed, for functions that no stage calls: half
# of the time that the import takes.
WOULD_IMPORT = {"keras": ("matplotlib", "pandas", "scipy", "sklearn"), "seaborn": ("scipy",)}
LARGEST = {"train": "keras", "evaluate": "keras", "plots": "seaborn"}  # package of a stage


def import_stage(stage: str) -> Any:
    """The stage's module."""
    gc.disable()
    try:
        with quiet_import():
            if package := LARGEST.get(stage):
                import_alone(package)
            return importlib.import_module(f"stages.{stage}")
    finally:
        gc.freeze()  # what was imported stays: no collection need look through it
        gc.enable()


def import_alone(package: str) -> None:
    """Import the package as if what it would import for nothing were not installed."""
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in WOULD_IMPORT[package] if name not in modules]
    modules |= dict.fromkeys(hidden)  # None: an import of it fails
    importlib.import_module(package)
    for name in hidden:
        del modules[name]


@contextmanager
def quiet_import() -> Iterator[None]:
    """Hide TensorFlow's greeting, which no setting hides (tensorflow#100442), and nothing else.

    The filter is a process of its own: what TensorFlow says before it aborts still comes through.
    """
    stderr = os.dup(2)
    pattern = "^(WARNING: All log messages before absl|I0000 )"
    with subprocess.Popen(["grep", "-vE", pattern], stdin=subprocess.PIPE, stdout=stderr) as noise:
        os.dup2(noise.stdin.fileno(), 2)  # type: ignore[union-attr]  # PIPE makes it
        try:
            yield
        finally:
            os.dup2(stderr, 2)
