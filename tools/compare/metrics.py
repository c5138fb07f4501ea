"""The scores that compare looks at, each as a function of means over images.

What a score needs of an image stands in columns, so that drawing images anew is a weighted mean
of columns and nothing is scored again. Those of classes are sparse. The columns are those of the
stages, so the values are the stages' own, unrounded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stages.evaluate.calibration import calibration_error_of, confidence_gaps
from stages.evaluate.class_scores import class_columns, divide_or_zero, macro_f1_of
from stages.shared.scores import Floats, Labels, Probabilities, cross_entropy, is_hit
from tools.compare.statistics import Columns


@dataclass(frozen=True)
class Metric:
    """`columns` of probabilities (images, classes) and labels (images,); `value` of their means."""

    name: str
    higher_is_better: bool
    columns: Callable[[Probabilities, Labels], Columns]
    value: Callable[[Floats], Floats]


def only_column(means: Floats) -> Floats:
    """The value of a metric that is the mean of its one column."""
    column: Floats = means[..., 0]
    return column


def balanced_accuracy_of(means: Floats) -> Floats:
    """The mean recall of the classes that have images, from means over images of class_columns."""
    right, _, true = np.split(means, 3, axis=-1)
    present = true > 0  # a draw of images may leave out a class
    recall: Floats = divide_or_zero(right, true).sum(axis=-1) / present.sum(axis=-1)
    return recall


METRICS = [
    Metric("accuracy", True, lambda p, y: is_hit(p, y)[:, None].astype(np.float64), only_column),
    Metric("balanced_accuracy", True, class_columns, balanced_accuracy_of),
    Metric("loss", False, lambda p, y: cross_entropy(p, y)[:, None], only_column),
    Metric("macro_f1", True, class_columns, macro_f1_of),
    Metric("calibration_error", False, confidence_gaps, calibration_error_of),
]
