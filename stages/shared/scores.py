"""Accuracy and loss from predicted probabilities.

Everywhere `probabilities` are float32 (images, classes) and `labels` integers (images,).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

DIGITS = 4  # decimals of every reported score: one image in 10,000
SMALLEST = float(np.finfo(np.float32).tiny)  # in place of 0, so that its logarithm is finite


def is_hit(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.bool_]:
    """Whether the most probable class is the right one, for each image."""
    right: npt.NDArray[np.bool_] = probabilities.argmax(axis=1) == labels
    return right


def cross_entropy(probabilities: Probabilities, labels: Labels) -> Floats:
    """The cross-entropy of each image, in nats."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.maximum(of_truth, SMALLEST))


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    return round(float(is_hit(probabilities, labels).mean()), DIGITS)


def loss(probabilities: Probabilities, labels: Labels) -> float:
    """The mean cross-entropy, in nats."""
    return round(float(cross_entropy(probabilities, labels).mean()), DIGITS)
