"""Networks that judge images which they have not trained on: out of fold, or the test images.

What a network gave is kept: an interrupted audit goes on with the next one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.shared.arrays import read_array
from stages.shared.errors import UserError

Numbers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]
Float32s = npt.NDArray[np.float32]


class Task(NamedTuple):
    """A network to train: on which images of the source, and which it judges afterwards."""

    name: str  # of its file of probabilities, and of its folder of checkpoints
    kind: str
    seed: int
    trained: Indices
    judged: Indices


class Images:
    """Images (count, height, width[, 3]) of a source; only those that are asked for are read."""

    def __init__(self, pixels: Any, rows: Indices) -> None:
        self.pixels, self.rows = pixels, rows
        self.shape, self.dtype = (len(rows), *pixels.shape), np.dtype(np.uint8)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: Any) -> npt.NDArray[np.uint8]:
        found: npt.NDArray[np.uint8] = self.pixels[self.rows[places]]
        return found


def assign_folds(labels: Numbers, units: Numbers, folds: int, seed: int) -> Numbers:
    """The fold (count,) of each image: by chance, as many of each class in each fold.

    Images of one unit, such as equal ones, share a fold: a network must not judge an image that it
    has trained on under another name. Raises UserError if there are fewer units than folds.
    """
    _, first, unit_of = np.unique(units, return_index=True, return_inverse=True)
    if len(first) < folds:
        raise UserError(
            f"--folds {folds}: expected as many different images at least, found {len(first)}"
        )
    chance = np.random.default_rng(seed).permutation(len(first))
    by_class = chance[np.argsort(labels[first][chance], kind="stable")]
    fold_of_unit = np.empty(len(first), np.int64)
    fold_of_unit[by_class] = np.arange(len(first)) % folds
    assigned: Numbers = fold_of_unit[unit_of]
    return assigned


def plan_folds(
    kinds: Iterable[str], rows: Indices, labels: Numbers, units: Numbers, folds: int, seed: int
) -> list[Task]:
    """`folds` networks of each kind, that each judge a fold and train on the others.

    `rows` (count,) are images of the source, in rising order, `labels` and `units` (count,) theirs.
    """
    fold_of = assign_folds(labels, units, folds, seed)
    return [
        Task(
            f"{kind}_fold_{fold}", kind, seed + fold, rows[fold_of != fold], rows[fold_of == fold]
        )
        for kind in kinds
        for fold in range(folds)
    ]  # fmt: skip


def plan_test(
    kinds: Iterable[str], trained: Indices, judged: Indices, networks: int, seed: int
) -> list[Task]:
    """`networks` of each kind, that each train on all of `trained` and judge all of `judged`."""
    return [
        Task(f"{kind}_test_{number}", kind, seed + number, trained, judged)
        for kind in kinds
        for number in range(networks)
    ]


def path_of(task: Task, scratch: Path) -> Path:
    """Where the probabilities that a task gave are kept."""
    return scratch / f"{task.name}.npy"


def tasks_left(tasks: list[Task], scratch: Path) -> list[Task]:
    return [task for task in tasks if not path_of(task, scratch).exists()]


def read_probabilities(tasks: list[Task], judged: Indices, classes: int, scratch: Path) -> Float32s:
    """Probabilities (kinds, judged images, classes) by all finished tasks.

    Where several networks of a kind judge an image, their mean.
    """
    kinds = list(dict.fromkeys(task.kind for task in tasks))
    sums = np.zeros((len(kinds), len(judged), classes), np.float32)
    counts = np.zeros((len(kinds), len(judged), 1), np.float32)
    for task in tasks:
        kind, places = kinds.index(task.kind), np.searchsorted(judged, task.judged)
        sums[kind, places] += read_array(path_of(task, scratch))
        counts[kind, places] += 1
    means: Float32s = sums / counts
    return means
