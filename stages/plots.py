"""plots: draw the figures from arrays and reports; nothing is trained or scored here."""

from pathlib import Path

import numpy as np
import seaborn as sns

from stages import figures
from stages.files import read_array, read_json, read_table, replacing
from stages.params import Dataset, Plots

QUICKLY = {"compress_level": 1}  # saves a fifth of the time; files are half as large again


def main(processed: Path, reports: Path, folder: Path, dataset: Dataset, plots: Plots) -> None:
    x_train, x_test, y_train, y_validation, y_test = (
        read_array(processed / f"{name}.npy")
        for name in ("x_train", "x_test", "y_train", "y_validation", "y_test")
    )
    predicted = read_array(reports / "probabilities_test.npy").argmax(axis=1)
    classes, axis = dataset.classes, dataset.class_axis
    rows = read_json(reports / "confusion.json")
    counts = np.array([row["count"] for row in rows]).reshape(len(classes), len(classes))
    sns.set_theme(style="ticks")
    drawn = {
        "samples": figures.samples(x_train, y_train, classes),
        "class_distribution": figures.class_distribution(
            np.concatenate([y_train, y_validation]), classes, axis
        ),
        "training_curves": figures.training_curves(read_table(reports / "history.csv")),
        "confusion_matrix": figures.confusion_matrix(counts, classes),
        "confused_pairs": figures.confused_pairs(counts, classes, plots.confused_pairs),
        "class_recall": figures.class_recall(read_json(reports / "classes.json"), axis),
        "correct_predictions": figures.predictions(x_test, y_test, predicted, classes, right=True),
        "wrong_predictions": figures.predictions(x_test, y_test, predicted, classes, right=False),
    }
    for name, figure in drawn.items():
        with replacing(folder / f"{name}.png") as file:
            figure.savefig(file, dpi=plots.resolution, format="png", pil_kwargs=QUICKLY)
        print(f"drew {folder / name}.png")
