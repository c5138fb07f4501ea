"""What predicted probabilities are worth: pure functions of arrays.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,).
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support

Probabilities = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

Row = dict[str, str | float | int]

DIGITS = 4  # of every score: one image in 10,000
SMALLEST = 1e-7  # Keras' epsilon: keeps the logarithm of a probability finite


def hits(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.bool_]:
    """Which images the most probable class is right for."""
    right: npt.NDArray[np.bool_] = probabilities.argmax(axis=1) == labels
    return right


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    return round(float(hits(probabilities, labels).mean()), DIGITS)


def loss(probabilities: Probabilities, labels: Labels) -> float:
    """The mean cross-entropy, in nats."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return round(float(-np.log(np.clip(of_truth, SMALLEST, 1)).mean()), DIGITS)


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


def confidence_bins(
    probabilities: Probabilities, labels: Labels, bins: int
) -> npt.NDArray[np.float64]:
    """Images in bins of equal width by their confidence, the probability of the predicted class.

    Shape (3, bins): how many images, the sum of their confidences, how many of them are right.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = hits(probabilities, labels)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    columns = (np.ones(len(labels)), confidence, right)
    return np.array([np.bincount(bin_of, weights=column, minlength=bins) for column in columns])


def calibration_error(probabilities: Probabilities, labels: Labels, bins: int = 15) -> float:
    """The expected calibration error: how far confidence is from accuracy, on average.

    Each bin's distance counts by its share of the images (Guo et al., ICML 2017, equation 3).
    """
    counts, confidence, right = confidence_bins(probabilities, labels, bins)
    return round(float(np.abs(right - confidence).sum() / counts.sum()), DIGITS)


def reliability(probabilities: Probabilities, labels: Labels, bins: int = 15) -> list[Row]:
    """A row for each bin that has images: their mean confidence, their accuracy, their count.

    The points of a reliability diagram; on its diagonal the network is as sure as it is right.
    """
    return [
        {
            "confidence": round(confidence / count, DIGITS),
            "accuracy": round(right / count, DIGITS),
            "count": int(count),
        }
        for count, confidence, right in confidence_bins(probabilities, labels, bins).T.tolist()
        if count
    ]


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
