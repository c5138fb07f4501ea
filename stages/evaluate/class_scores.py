"""Scores class by class, and the confidence interval of a share.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,).
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from stages.shared.scores import DIGITS, Floats, Labels, Probabilities

Counts = npt.NDArray[np.int64]


def share_interval(hit_count: int, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share by Wilson's score (JASA 22, 1927)."""
    if count == 0:
        return 0.0, 1.0  # Wilson's limits as the count goes to 0; SciPy refuses it
    interval = binomtest(hit_count, count).proportion_ci(0.95, method="wilson")
    return round(float(interval.low), DIGITS), round(float(interval.high), DIGITS)


def divide_or_zero(dividend: Floats | Counts, divisor: Floats | Counts) -> Floats:
    """The quotient, 0 where the divisor is 0: a class that nobody predicts has no precision."""
    quotient: Floats = np.where(divisor > 0, dividend / np.where(divisor > 0, divisor, 1), 0.0)
    return quotient


def f1_of(right: Floats | Counts, predicted: Floats | Counts, true: Floats | Counts) -> Floats:
    """The F1 score of each class, from counts or shares of the images."""
    return divide_or_zero(2 * right, predicted + true)


def class_columns(probabilities: Probabilities, labels: Labels) -> Floats:
    """For each class: is the image rightly of it; is it predicted; is it true. 3 x classes wide."""
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)[:, None] == classes
    true = labels[:, None] == classes
    return np.hstack([predicted & true, predicted, true]).astype(np.float64)


def macro_f1_of(means: Floats) -> Floats:
    """The mean of the classes' F1 scores, from means over images (..., 3 x classes)."""
    mean: Floats = f1_of(*np.split(means, 3, axis=-1)).mean(axis=-1)
    return mean


def macro_f1(probabilities: Probabilities, labels: Labels) -> float:
    """The mean of the classes' F1 scores, each class counting alike."""
    return round(float(macro_f1_of(class_columns(probabilities, labels).mean(axis=0))), DIGITS)


def confusion_counts(probabilities: Probabilities, labels: Labels) -> Counts:
    """How many images of each true class (row) went to each predicted class (column)."""
    classes = probabilities.shape[1]
    pairs = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def score_rows(counts: Counts, classes: list[str]) -> list[dict[str, str | float]]:
    """A row a class: precision, recall and its 95 % interval, F1 score, support (its images)."""
    right, predicted, true = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    columns = divide_or_zero(right, predicted), divide_or_zero(right, true)
    rows = []
    for number, (name, precision, recall, f1) in enumerate(
        zip(classes, *columns, f1_of(right, predicted, true), strict=True)
    ):
        low, high = share_interval(int(right[number]), int(true[number]))
        scores = {
            "precision": precision,
            "recall": recall,
            "recall_low": low,
            "recall_high": high,
            "f1": f1,
        }
        rounded = {score: round(float(value), DIGITS) for score, value in scores.items()}
        row: dict[str, str | float] = {"class": name, **rounded, "support": int(true[number])}
        rows.append(row)
    return rows


def confusion_rows(counts: Counts, classes: list[str]) -> list[dict[str, str | int]]:
    """A row for each pair of a true and a predicted class, in the classes' order."""
    return [
        {"actual": actual, "predicted": predicted, "count": int(counts[i, j])}
        for i, actual in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]
