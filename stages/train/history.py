"""The history of a training, a row an epoch, and what it says about overfitting."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.shared.atomic_write import atomic_write

HISTORY_DIGITS = 5  # decimals of a score in history.csv

History = dict[str, list[float]]  # by score: a value an epoch


def mean_history(histories: Sequence[History]) -> History:
    """The mean over the members, rounded as history.csv has it."""
    return {
        name: np.mean([history[name] for history in histories], axis=0)
        .round(HISTORY_DIGITS)
        .tolist()
        for name in histories[0]
    }


def write_history(history: History, path: Path) -> None:
    """A CSV file with a row an epoch."""
    rows = zip(range(1, len(history["loss"]) + 1), *history.values(), strict=True)
    with atomic_write(path) as file:
        for row in [("epoch", *history), *rows]:
            file.write((",".join(map(str, row)) + "\n").encode())


def describe_overfitting(history: History) -> str:
    """What the history says about overfitting: the best epoch on validation against the last."""
    if "validation_loss" not in history:
        return "The validation images were trained on as well (train.refit), so no score judges it."
    losses = history["validation_loss"]
    best, last = int(np.argmin(losses)), len(losses) - 1
    if best == last:
        return f"No overfitting seen: the validation loss was lowest in the last epoch, {last + 1}."
    return (
        f"Overfitting after epoch {best + 1}: the validation loss was lowest there, "
        f"{losses[best]:.4f}; epoch {last + 1}, the last, has {losses[last]:.4f}."
    )
