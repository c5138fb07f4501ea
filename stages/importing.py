"""Importing a stage's code: quietly, and in half of the time that TensorFlow and Keras take."""

import gc
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LEARNING = {"train", "evaluate"}  # the stages that need Keras
KERAS_WOULD_IMPORT = ("matplotlib", "pandas", "scipy", "sklearn")


def import_stage(stage: str) -> Any:
    """The stage's module."""
    gc.disable()
    try:
        with quiet_import():
            if stage in LEARNING:
                import_keras()
            return importlib.import_module(f"stages.{stage}")
    finally:
        gc.freeze()  # what was imported stays: no collection need look through it
        gc.enable()


def import_keras() -> None:
    """Import Keras without the packages that it imports only because they are installed."""
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in KERAS_WOULD_IMPORT if name not in modules]
    modules |= dict.fromkeys(hidden)  # None: as if it were not installed
    importlib.import_module("keras")
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
