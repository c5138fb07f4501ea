"""Scores class by class, and the confidence interval of a share.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,).
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from stages.shared.scores import DIGITS, Floats, Labels, Probabilities

Counts = npt.NDArray[np.int64]

Z = 1.959963984540054  # standard errors, either way, of 95 %; SciPy takes half a second to import

# Rows of confusion.json: DVC's page holds them all, with 1,000 names of 40 letters in 1 MB.
MOST_CELLS = 5_000


def share_interval(hit_count: int, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share by Wilson's score (JASA 22, 1927)."""
    if count == 0:
        return 0.0, 1.0  # the limits as the count goes to 0
    middle = (hit_count + Z**2 / 2) / (count + Z**2)
    spread = hit_count * (count - hit_count) / count + Z**2 / 4
    half = Z / (count + Z**2) * math.sqrt(spread)
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return round(low, DIGITS), round(high, DIGITS)


def divide_or_zero(dividend: Floats | Counts, divisor: Floats | Counts) -> Floats:
    """The quotient, 0 where the divisor is 0: a class that nobody predicts has no precision."""
    quotient: Floats = np.where(divisor > 0, dividend / np.where(divisor > 0, divisor, 1), 0.0)
    return quotient


def f1_of(right: Floats | Counts, predicted: Floats | Counts, true: Floats | Counts) -> Floats:
    """The F1 score of each class, from counts or shares of the images."""
    return divide_or_zero(2 * right, predicted + true)


def class_columns(probabilities: Probabilities, labels: Labels) -> csr_array:
    """For each class: is the image rightly of it; is it predicted; is it true. 3 x classes wide.

    Sparse, as two or three of an image's columns are 1 and all others 0.
    """
    count, classes = probabilities.shape
    predicted, true = probabilities.argmax(axis=1), labels.astype(np.int64)
    right = np.flatnonzero(predicted == true)
    rows = np.concatenate([right, np.arange(count), np.arange(count)])
    columns = np.concatenate([true[right], predicted + classes, true + 2 * classes])
    return csr_array((np.ones(len(rows)), (rows, columns)), (count, 3 * classes))


def macro_f1_of(means: Floats) -> Floats:
    """The mean of the classes' F1 scores, from means over images (..., 3 x classes)."""
    mean: Floats = f1_of(*np.split(means, 3, axis=-1)).mean(axis=-1)
    return mean


def macro_f1(counts: Counts) -> float:
    """The mean of the classes' F1 scores, each class counting alike."""
    f1 = f1_of(np.diag(counts), counts.sum(axis=0), counts.sum(axis=1))
    return round(float(f1.mean()), DIGITS)


def balanced_accuracy(counts: Counts) -> float:
    """The mean recall of the classes that have images, each class counting alike."""
    true = counts.sum(axis=1)
    recall = divide_or_zero(np.diag(counts), true)
    return round(float(recall[true > 0].mean()), DIGITS)


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


def confusion_rows(
    counts: Counts, classes: list[str], most: int = MOST_CELLS
) -> list[dict[str, str | int | None]]:
    """A row a pair of a true and a predicted class: first each class with itself, then mistakes.

    Both in the classes' order, so that a chart has the classes in this order. Mistakes that nobody
    made have no row. Of more than `most` rows the rarest mistakes are left out; then a last row,
    without classes, has the `count` of their images and the number of `cells`.
    """
    wrong = counts - np.diag(np.diag(counts))
    cells = np.flatnonzero(wrong)
    order = np.argsort(-wrong.flat[cells], kind="stable")
    room = most - len(classes)
    if len(cells) > room:
        room -= 1  # for the last row
    kept, left_out = np.sort(cells[order[:room]]), cells[order[room:]]
    pairs = [(number, number) for number in range(len(classes))]
    pairs += zip(*(side.tolist() for side in np.unravel_index(kept, counts.shape)), strict=True)
    rows: list[dict[str, str | int | None]] = [
        {"actual": classes[i], "predicted": classes[j], "count": int(counts[i, j])}
        for i, j in pairs
    ]
    if len(left_out):
        images = int(wrong.flat[left_out].sum())
        rows.append({"actual": None, "predicted": None, "count": images, "cells": len(left_out)})
    return rows
