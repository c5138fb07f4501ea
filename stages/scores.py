"""What predicted probabilities are worth: pure functions of arrays.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,). What needs
scikit-learn or SciPy stands in class_scores.py: train does not wait for their import.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

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
