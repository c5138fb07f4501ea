"""The scores that compare looks at, each as a function of means over images.

What a score needs of an image stands in columns, so that drawing images anew is a weighted mean
of columns and nothing is scored again. The values are those of stages/scores.py and
class_scores.py, unrounded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.scores import SMALLEST, hits

Floats = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

BINS = 15


def surprise(probabilities: Floats, labels: Labels) -> Floats:
    """The cross-entropy of each image, in nats."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(of_truth, SMALLEST, 1))


def class_columns(probabilities: Floats, labels: Labels) -> Floats:
    """For each class: is the image rightly of it; is it predicted; is it true. 3 x classes wide."""
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities.argmax(axis=1)[:, None] == classes
    true = labels[:, None] == classes
    return np.hstack([predicted & true, predicted, true]).astype(np.float64)


def macro_f1(means: Floats) -> Floats:
    """The mean of the classes' F1 scores from means (..., 3 x classes) of class_columns."""
    right, predicted, true = np.split(means, 3, axis=-1)
    either = predicted + true
    f1: Floats = np.where(either > 0, 2 * right / np.where(either > 0, either, 1), 0).mean(axis=-1)
    return f1


def confidence_columns(probabilities: Floats, labels: Labels) -> Floats:
    """Hit less confidence, in the column of the bin that the confidence falls into."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    bin_of = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    columns = np.zeros((len(labels), BINS))
    columns[np.arange(len(labels)), bin_of] = hits(probabilities, labels) - confidence
    return columns


@dataclass(frozen=True)
class Metric:
    """`columns` of probabilities (images, classes) and labels (images,); `value` of their means."""

    name: str
    higher_is_better: bool
    columns: Callable[[Floats, Labels], Floats]
    value: Callable[[Floats], Floats]


def only(means: Floats) -> Floats:
    """The value of a metric that is the mean of its one column."""
    column: Floats = means[..., 0]
    return column


METRICS = [
    Metric("accuracy", True, lambda p, y: hits(p, y)[:, None].astype(np.float64), only),
    Metric("loss", False, lambda p, y: surprise(p, y)[:, None], only),
    Metric("macro_f1", True, class_columns, macro_f1),
    Metric("calibration_error", False, confidence_columns, lambda m: np.abs(m).sum(axis=-1)),
]
