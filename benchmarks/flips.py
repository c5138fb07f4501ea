"""Labels that were made wrong on purpose, and how well a ranking finds them."""

from typing import Any

import numpy as np
import numpy.typing as npt

SHARE = 0.01  # of the labels
PRECISION = 0.9

Integers = npt.NDArray[np.integer[Any]]


def flip_labels(
    labels: Integers, rows: Integers, classes: int, seed: int
) -> tuple[Integers, Integers]:
    """Labels of which a share of those at `rows` are another class by chance, and at which rows."""
    random = np.random.default_rng(seed)
    flipped = random.choice(rows, round(SHARE * len(rows)), replace=False)
    wrong = labels.copy()
    wrong[flipped] += random.integers(1, classes, len(flipped)).astype(labels.dtype)
    wrong[flipped] %= classes
    return wrong, flipped


def recall_of_flips(ranked: Integers, flipped: Integers) -> float:
    """The share of the flipped rows in a ranking, as far down as PRECISION of it are flipped."""
    hits = np.cumsum(np.isin(ranked, flipped))
    precise = np.flatnonzero(hits >= PRECISION * np.arange(1, len(hits) + 1))
    return float(hits[precise[-1]] / len(flipped)) if len(precise) else 0.0


def say_recall(recall: float) -> str:
    return f"recall {recall:.3f} at precision {PRECISION}"
