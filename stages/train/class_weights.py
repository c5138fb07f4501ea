"""Weights of classes in the loss, for classes that have more or fewer training images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stages.train.batches import Part


def balance_classes(parts: Sequence[Part], classes: int) -> npt.NDArray[np.float32]:
    """The weights (classes,) with which every class counts alike, 1 for an image on average.

    An image of a class with n_c of the n images weighs n / (classes * n_c), scikit-learn's
    `balanced` (King and Zeng, Logistic regression in rare events data, 2001). No image, no weight.
    """
    counts = sum(np.bincount(labels, minlength=classes) for _images, labels in parts)
    weights = np.sum(counts) / (classes * np.maximum(counts, 1))
    balanced: npt.NDArray[np.float32] = np.where(counts, weights, 0).astype(np.float32)
    return balanced
