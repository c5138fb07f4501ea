"""plots: draw the figures from arrays and reports; nothing is trained or scored here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from stages.plots import figures
from stages.plots.names import draw_as_written
from stages.plots.reports import read_confusion, read_json, read_table
from stages.plots.saving import save_figures
from stages.plots.style import use_style
from stages.shared.arrays import read_array, read_labels, read_part
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset, Plots


def main(processed: Path, reports: Path, folder: Path, dataset: Dataset, plots: Plots) -> None:
    use_style()
    if lacking := draw_as_written([*dataset.classes, dataset.class_axis]):
        print(lacking)
    save_figures(list_figures(processed, reports, dataset, plots), folder, plots.resolution)


def list_figures(
    processed: Path, reports: Path, dataset: Dataset, plots: Plots
) -> dict[str, Callable[[], Figure]]:
    """What draws each figure, by its file's name; two processes take turns, for equal times."""
    classes, axis = dataset.classes, dataset.class_axis
    x_train, y_train = read_part(processed, "train", len(classes))
    x_test, y_test = read_part(processed, "test", len(classes))
    y_validation = read_labels(processed / "y_validation.npy", len(classes))
    predicted = read_predicted(reports / "probabilities_test.npy", (len(y_test), len(classes)))
    counts, left_out = read_confusion(reports / "confusion.json", len(classes))
    of_splits = {"Train": y_train, "Validation": y_validation, "Test": y_test}
    history, recall = read_table(reports / "history.csv"), read_json(reports / "classes.json")
    images_of_splits: dict[str, figures.Integers] = {
        split: np.bincount(y, minlength=len(classes)) for split, y in of_splits.items()
    }
    predictions = partial(figures.predictions, x_test, y_test, predicted, classes)
    return {
        "samples": partial(figures.samples, x_train, y_train, classes),
        "class_distribution": partial(figures.class_distribution, images_of_splits, classes, axis),
        "confusion_matrix": partial(figures.confusion_matrix, counts, classes),
        "training_curves": partial(figures.training_curves, history),
        "confused_pairs": partial(
            figures.confused_pairs, counts, classes, plots.confused_pairs, left_out
        ),
        "class_recall": partial(figures.class_recall, recall, classes, axis),
        "correct_predictions": partial(predictions, right=True),
        "wrong_predictions": partial(predictions, right=False),
    }


def read_predicted(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.intp]:
    """The most probable class of each image, from probabilities (count, classes)."""
    probabilities = read_array(path)
    if probabilities.shape != shape or probabilities.dtype.kind != "f":
        found = f"{probabilities.shape} as {probabilities.dtype}"
        raise UserError(
            f"{path}: expected probabilities {shape} as float32; found {found}. "
            "`dvc repro evaluate` makes it again"
        )
    predicted: npt.NDArray[np.intp] = probabilities.argmax(axis=1)
    return predicted
