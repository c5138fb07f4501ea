"""Starts a stage: python -m stages.run STAGE PATH ...

A stage's `main` names what it needs. Its `Path` arguments come from the command line, in
order; every other argument is the section of params.yaml of that name, and `dataset` is the
block of data/catalog.yaml that params.yaml chooses.
"""

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages import StageError


def run(stage: str, paths: list[str]) -> None:
    """Check the whole of params.yaml, then call the stage's main with what it names.

    Raises StageError for everything that the user can mend.
    """
    # Imported here: a Python without the locked packages must reach the message in main().
    from stages.params import read_sections  # noqa: PLC0415

    sections = read_sections()  # before the stage is imported: TensorFlow alone takes seconds
    with quiet_import():
        stage_main = importlib.import_module(f"stages.{stage}").main
    arguments = inspect.signature(stage_main).parameters.values()
    expected = [argument.name for argument in arguments if argument.annotation is Path]
    if len(paths) != len(expected):
        raise StageError(f"expected the paths {expected}, found {paths}: compare dvc.yaml")
    chosen = {a.name: sections[a.name] for a in arguments if a.annotation is not Path}
    stage_main(*map(Path, paths), **chosen)


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


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without GPU is no error
    os.environ["KERAS_BACKEND"] = "tensorflow"  # a user's ~/.keras/keras.json may name another
    stage, *paths = sys.argv[1:]
    try:
        run(stage, paths)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "stages":
            raise
        sys.exit(
            f"{stage}: the Python at {sys.executable} lacks the package '{error.name}'. "
            "Expected the project's own: run `make` once, then `source .venv/bin/activate`."
        )
    except StageError as error:
        sys.exit(f"{stage}: {error}")
    except OSError as error:
        sys.exit(f"{stage}: {error}. Make room or access there, then `dvc repro` again.")
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for Ctrl-C


if __name__ == "__main__":
    main()
