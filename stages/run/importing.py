"""Importing a stage's code: quietly, and without what its libraries import but no stage needs.

Together this saves a second and a half of the imports of a default run; STAGES_PLAIN=1 turns it
off (plain.py).
"""

import gc
import importlib
import importlib.util
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stages.run.plain import is_plain
from stages.shared.errors import UserError

# Optional packages that these libraries import if installed; no stage needs them.
HIDDEN = {"keras": ("matplotlib", "pandas", "scipy", "sklearn"), "seaborn": ("pyarrow", "scipy")}
LARGEST = {"train": "keras", "plots": "seaborn"}  # the slowest import
# TensorFlow maps 2.8 GB on two cores, more on others. Where it may not, it aborts, or waits for
# ever.
ADDRESS_SPACE_BYTES = 4e9


def import_stage(stage: str) -> Any:
    """The module stages.STAGE.main, after the stage's environment is set."""
    if LARGEST.get(stage) == "keras":
        refuse_small_address_space()
    prepare_environment(stage)
    name = f"stages.{stage}.main"
    if is_plain():
        return importlib.import_module(name)
    gc.disable()
    try:
        with quiet_stderr():
            if library := LARGEST.get(stage):
                import_without_hidden(library)
            return importlib.import_module(name)
    finally:
        gc.freeze()  # imported code stays: no collection need look through it
        gc.enable()


def refuse_small_address_space() -> None:
    limit, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE_BYTES:
        raise UserError(
            f"this shell allows a process {limit / 1e9:.1f} GB of address space, expected at least "
            f"{ADDRESS_SPACE_BYTES / 1e9:.0f}: `ulimit -v unlimited`, or another shell"
        )


def prepare_environment(stage: str) -> None:
    """Call what the stage has in environment.py, before its libraries are imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime's official builds send usage data
    name = f"stages.{stage}.environment"
    if importlib.util.find_spec(name):
        importlib.import_module(name).set_environment()


def import_without_hidden(library: str) -> None:
    """Import the library as if its HIDDEN packages were not installed."""
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in HIDDEN[library] if name not in modules]
    modules |= dict.fromkeys(hidden)  # None: an import of it fails
    importlib.import_module(library)
    for name in hidden:
        del modules[name]


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hide TensorFlow's greeting, which no setting hides (tensorflow#100442), and nothing else.

    The filter is a separate process: what TensorFlow says before it aborts still comes through.
    """
    stderr = os.dup(2)
    pattern = "^(WARNING: All log messages before absl|I0000 )"
    with subprocess.Popen(["grep", "-vE", pattern], stdin=subprocess.PIPE, stdout=stderr) as noise:
        os.dup2(noise.stdin.fileno(), 2)  # type: ignore[union-attr]  # PIPE makes it
        try:
            yield
        finally:
            os.dup2(stderr, 2)
