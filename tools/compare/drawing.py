"""Drawing compare's figure in matplotlib's own state, whatever the user has set elsewhere."""

import os
import sys
from pathlib import Path

from tools.shared.predictions import Predictions


def draw_to(path: Path, predictions: Predictions, split: str) -> None:
    """Draw the images that B fixed and broke as PNG."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's would end the import
    # Imported only if a figure is asked for: matplotlib doubles the run time.
    import matplotlib as mpl  # noqa: PLC0415

    from stages.plots.names import draw_as_written  # noqa: PLC0415
    from tools.compare.figure import write_changes  # noqa: PLC0415

    mpl.rcdefaults()  # not those of a matplotlibrc
    revisions = predictions.revisions
    names = [*revisions[0].classes, *(revision.title for revision in revisions)]
    if lacking := draw_as_written(names):
        print(lacking, file=sys.stderr)
    write_changes(predictions, split, path)
