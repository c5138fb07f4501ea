"""What predicted probabilities are worth class by class, and the interval of a share.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,).
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

from stages.scores import DIGITS, Labels, Probabilities, Row


def macro_f1(probabilities: Probabilities, labels: Labels) -> float:
    """The mean of the classes' F1 scores, each class counting alike."""
    f1 = f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0.0)
    return round(float(f1), DIGITS)


def share_interval(hit_count: int, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share by Wilson's score (JASA 22, 1927)."""
    if count == 0:
        return 0.0, 1.0  # Wilson's limits as the count goes to 0; SciPy refuses it
    interval = binomtest(hit_count, count).proportion_ci(0.95, method="wilson")
    return round(float(interval.low), DIGITS), round(float(interval.high), DIGITS)


def confusion_counts(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.int64]:
    """How many images of each true class (row) went to each predicted class (column)."""
    counts: npt.NDArray[np.int64] = confusion_matrix(
        labels, probabilities.argmax(axis=1), labels=range(probabilities.shape[1])
    )
    return counts


def by_class(probabilities: Probabilities, labels: Labels, classes: list[str]) -> list[Row]:
    """A row a class: precision, recall and its 95 % interval, F1 score, support (its images)."""
    columns = precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=range(len(classes)), zero_division=0.0
    )
    rows = []
    for name, precision, recall, f1, support in zip(classes, *columns, strict=True):
        low, high = share_interval(round(recall * support), int(support))
        scores = {
            "precision": precision,
            "recall": recall,
            "recall_low": low,
            "recall_high": high,
            "f1": f1,
        }
        rounded = {score: round(float(value), DIGITS) for score, value in scores.items()}
        rows.append({"class": name, **rounded, "support": int(support)})
    return rows


def confusion_rows(counts: npt.NDArray[np.int64], classes: list[str]) -> list[Row]:
    """A row for each pair of a true and a predicted class, in the classes' order."""
    return [
        {"actual": actual, "predicted": predicted, "count": int(counts[i, j])}
        for i, actual in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]
