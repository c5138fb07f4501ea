"""The history of a training, a row an epoch, and what it says about overfitting."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.shared.atomic_write import atomic_write
from stages.shared.scores import DIGITS

HISTORY_DIGITS = 5  # decimals of a score in history.csv

History = dict[str, list[float]]  # by score: a value an epoch

# What the model is after overfitting, by train.keep.
KEPT_EPOCH = {
    "last": "The model is that of the last epoch; `train.keep: best` keeps the best one.",
    "best": "Each network has the weights of its own best epoch (train.keep: best).",
}


def mean_history(histories: Sequence[History]) -> History:
    """The mean over the members that still trained in the epoch, rounded as history.csv has it."""
    longest = max(len(history["loss"]) for history in histories)
    means = {}
    for name in histories[0]:
        values = np.full((len(histories), longest), np.nan)
        for row, history in zip(values, histories, strict=True):
            row[: len(history[name])] = history[name]
        means[name] = np.nanmean(values, axis=0).round(HISTORY_DIGITS).tolist()
    return means


def find_best_epoch(losses: Sequence[float]) -> int:
    """The epoch, from 0, with the lowest loss as history.csv has it; of equal ones the first."""
    return int(np.argmin(np.round(losses, HISTORY_DIGITS)))


def write_history(history: History, path: Path) -> None:
    """A CSV file with a row an epoch."""
    rows = zip(range(1, len(history["loss"]) + 1), *history.values(), strict=True)
    with atomic_write(path) as file:
        for row in [("epoch", *history), *rows]:
            file.write((",".join(map(str, row)) + "\n").encode())


def describe_overfitting(history: History, keep: str, baseline: float) -> str:
    """What the history says about overfitting: the best epoch on validation against the last.

    `keep` is train.keep; `baseline` the validation accuracy of always answering the largest class.
    """
    if "validation_loss" not in history:
        return "The validation images were trained on as well (train.refit), so no score judges it."
    highest = round(max(history["validation_accuracy"]), DIGITS)
    if highest <= baseline:
        return (
            f"In no epoch was the validation accuracy above {baseline:.4f}, that of always "
            "answering the largest class, so nothing is said about overfitting."
        )
    losses = history["validation_loss"]
    best, last = find_best_epoch(losses), len(losses) - 1
    if best == last:
        return f"No overfitting seen: the validation loss was lowest in the last epoch, {last + 1}."
    return (
        f"Overfitting after epoch {best + 1}: the validation loss was lowest there, "
        f"{losses[best]:.4f}; epoch {last + 1}, the last, has {losses[last]:.4f}. "
        + KEPT_EPOCH[keep]
    )
