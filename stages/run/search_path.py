"""Where Python looks for modules."""

import os
import sys


def search_project_last() -> None:
    """Put the project's folder at the end of sys.path.

    `python -m` puts it first: a random.py or numpy.py that somebody saves beside dvc.yaml would
    take the place of Python's own, or of a package's. Once `stages` is imported, all that is still
    to come of it is found by way of the package.
    """
    here = os.getcwd()  # noqa: PTH109  # pathlib is not imported before the path is right
    sys.path.sort(key=lambda folder: folder in ("", here))
