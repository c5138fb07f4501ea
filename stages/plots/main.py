"""plots: draw the figures from arrays and reports; nothing is trained or scored here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from stages.plots import figures
from stages.plots.reports import read_json, read_table
from stages.plots.style import use_style
from stages.shared.arrays import read_array
from stages.shared.atomic_write import atomic_write

if TYPE_CHECKING:
    from stages.run.params import Dataset, Plots

FAST_PNG = {"compress_level": 1}  # saves a fifth of the time; files are half as large again


def main(processed: Path, reports: Path, folder: Path, dataset: Dataset, plots: Plots) -> None:
    use_style()
    for name, figure in draw_figures(processed, reports, dataset, plots.confused_pairs).items():
        with atomic_write(folder / f"{name}.png") as file:
            figure.savefig(file, dpi=plots.resolution, format="png", pil_kwargs=FAST_PNG)
        print(f"drew {folder / name}.png")


def draw_figures(
    processed: Path, reports: Path, dataset: Dataset, confused_pairs: int
) -> dict[str, Figure]:
    """Every figure by the name of its file."""
    x_train, x_test, y_train, y_validation, y_test = (
        read_array(processed / f"{name}.npy")
        for name in ("x_train", "x_test", "y_train", "y_validation", "y_test")
    )
    predicted = read_array(reports / "probabilities_test.npy").argmax(axis=1)
    classes, axis = dataset.classes, dataset.class_axis
    pairs = read_json(reports / "confusion.json")
    counts = np.array([row["count"] for row in pairs]).reshape(len(classes), len(classes))
    return {
        "samples": figures.samples(x_train, y_train, classes),
        "class_distribution": figures.class_distribution(
            np.concatenate([y_train, y_validation]), classes, axis
        ),
        "training_curves": figures.training_curves(read_table(reports / "history.csv")),
        "confusion_matrix": figures.confusion_matrix(counts, classes),
        "confused_pairs": figures.confused_pairs(counts, classes, confused_pairs),
        "class_recall": figures.class_recall(read_json(reports / "classes.json"), axis),
        "correct_predictions": figures.predictions(x_test, y_test, predicted, classes, right=True),
        "wrong_predictions": figures.predictions(x_test, y_test, predicted, classes, right=False),
    }
