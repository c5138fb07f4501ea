"""Drawing compare's figures in matplotlib's own state, whatever the user has set elsewhere."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.compare.data_diff import DataDiff
from tools.shared.predictions import Predictions
from tools.shared.revisions import Revision


def draw_to(path: Path, predictions: Predictions, split: str) -> None:
    """Draw the images that B fixed and broke as PNG."""
    revisions = predictions.revisions
    prepare_drawing([*revisions[0].classes, *(revision.title for revision in revisions)])
    from tools.compare.figure import write_changes  # noqa: PLC0415

    write_changes(predictions, split, path)


def draw_data_to(path: Path, revisions: list[Revision], diff: DataDiff) -> None:
    """Draw examples of the images that differ between A and B as PNG."""
    a, b = revisions
    prepare_drawing([*diff.names, a.title, b.title])
    from tools.compare.data_figure import write_data_changes  # noqa: PLC0415

    write_data_changes(a, b, diff, path)


def prepare_drawing(names: Iterable[str]) -> None:
    """Let matplotlib draw these names as they are written."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's would end the import
    # Imported only if a figure is asked for: matplotlib doubles the run time.
    import matplotlib as mpl  # noqa: PLC0415

    from stages.plots.names import draw_as_written  # noqa: PLC0415

    mpl.rcdefaults()  # not those of a matplotlibrc
    if lacking := draw_as_written(names):
        print(lacking, file=sys.stderr)
