"""python -m stages.run STAGE PATH ...: the command of each stage in dvc.yaml."""

import os
import sys

from stages.run.search_path import search_project_last

search_project_last()  # before all other imports: what they import must not lie beside dvc.yaml

import signal  # noqa: E402

from stages.run.environment import clean_environment  # noqa: E402
from stages.run.failures import failures_in_one_line  # noqa: E402
from stages.run.plain import is_plain  # noqa: E402


def main() -> None:
    # Ctrl-C ends the process at once, as `kill` does, and loses as little: an exception could be
    # raised where Python drops it (a finalizer), or leave TensorFlow's threads without Python.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    clean_environment()
    if len(sys.argv) == 1:
        sys.exit("expected: python -m stages.run STAGE PATH ..., as in dvc.yaml")
    stage, *paths = sys.argv[1:]
    with failures_in_one_line(stage, "`dvc repro` again"):
        # Imported here: a Python without the locked packages must get as far as the message.
        from stages.run.stage import run_stage  # noqa: PLC0415

        run_stage(stage, paths)
    sys.stdout.flush()
    if not is_plain():
        # Everything is written. Skip interpreter shutdown: tearing down TensorFlow takes a second.
        os._exit(0)


if __name__ == "__main__":
    main()
