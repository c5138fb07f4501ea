"""Which classes a figure shows if there are too many for all, and how large it draws them."""

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.integer[Any]]
Indices = npt.NDArray[np.intp]

MOST_NAMED = 100  # classes of which a figure names each
SHOWN = 30  # classes of more, those that matter most
LARGEST_SIDE = 10.0  # inches: 3,000 pixels at the resolution of 300
POINTS = 72  # an inch


def side_for(count: int, usual: float, inches_each: float) -> float:
    """The side of a figure with that many names along it, from the usual to the largest."""
    return min(LARGEST_SIDE, max(usual, 1 + inches_each * count))


def font_for(count: int, inches: float, usual: float = 11) -> float:
    """The size in points of that many names one above the other, or less than the usual."""
    return min(usual, 0.85 * POINTS * inches / max(count, 1))


def spread_classes(count: int, most: int) -> Indices:
    """Every class, or `most` of them at even distances."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)


def most_confused(counts: Integers, most: int) -> Indices:
    """The classes of the pairs that are confused most often, in the classes' order."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[: most * most]
    pairs = np.stack(np.unravel_index(order, wrong.shape), axis=1)
    classes = list(dict.fromkeys(pairs.ravel().tolist()))[:most]
    return np.sort(np.array(classes, np.intp))


def lowest_recall(recall: npt.NDArray[np.float64], support: Integers, most: int) -> Indices:
    """The classes with the lowest recall, the lowest first; of those that have images."""
    order = np.argsort(np.where(support > 0, recall, np.inf), kind="stable")
    return order[: min(most, int((support > 0).sum()))]
