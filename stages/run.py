"""Starts a stage: python -m stages.run STAGE PATH ...

A stage's `main` names what it needs. Its `Path` arguments come from the command line, in order;
`scratch` is a folder that stays after a failure for the next run with the same inputs, until a run
of the stage succeeds; every other argument is the section of params.yaml of that name, and
`dataset` the catalog's block.
"""

import inspect
import os
import shutil
import signal
import sys
from pathlib import Path

from stages import StageError
from stages.importing import import_stage

TEMPORARY = Path(".dvc/tmp/stages")  # Git and DVC ignore it


def run(stage: str, paths: list[str]) -> None:
    """Check the whole of params.yaml, call the stage's main, check that nothing changed meanwhile.

    Raises StageError for everything that the user can mend.
    """
    # Imported here: a Python without the locked packages must reach the message in main().
    from stages.inputs import fingerprint, read_inputs, refuse_changes  # noqa: PLC0415
    from stages.lock import held  # noqa: PLC0415
    from stages.params import read_sections  # noqa: PLC0415

    inputs = read_inputs(stage)
    sections = read_sections()  # before the stage is imported: TensorFlow alone takes seconds
    with held(TEMPORARY / f"{stage}.lock"):
        stage_main = import_stage(stage).main
        names = list(inspect.signature(stage_main).parameters)
        chosen = {name: sections[name] for name in names if name in sections}
        if "scratch" in names:
            chosen["scratch"] = TEMPORARY / stage / fingerprint(inputs)
        expected = [name for name in names if name not in chosen]
        if len(paths) != len(expected):
            raise StageError(f"expected the paths {expected}, found {paths}: compare dvc.yaml")
        stage_main(*map(Path, paths), **chosen)
        refuse_changes(stage, inputs)
        shutil.rmtree(TEMPORARY / stage, ignore_errors=True)


def main() -> None:
    # Ctrl-C ends the process at once, as `kill` does, and loses as little: an exception could be
    # raised where Python drops it (a finalizer), or leave TensorFlow's threads without Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without GPU is no error
    os.environ["KERAS_BACKEND"] = "tensorflow"  # a user's ~/.keras/keras.json may name another
    if len(sys.argv) == 1:
        sys.exit("expected: python -m stages.run STAGE PATH ..., as in dvc.yaml")
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
    # All is written. Python would take TensorFlow apart for a second; the system needs none.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
