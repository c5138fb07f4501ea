"""The images and labels that training reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.shared.arrays import read_part, wrong_array

if TYPE_CHECKING:
    from stages.train.batches import Part


def read_parts(processed: Path) -> tuple[Part, Part]:
    """The training and the validation part. Raises UserError unless they fit each other."""
    training, validation = (read_part(processed, split) for split in ("train", "validation"))
    if training[0].shape[1:] != validation[0].shape[1:]:
        expected = f"images {training[0].shape[1:]} like those of x_train.npy"
        raise wrong_array(processed / "x_validation.npy", expected, validation[0])
    classes = 1 + int(max(training[1].max(), validation[1].max()))
    absent = np.setdiff1d(np.arange(classes), training[1])
    if len(absent):
        expected = f"labels of every class from 0 to {classes - 1}"
        raise wrong_array(processed / "y_train.npy", expected, f"none of {absent.tolist()}")
    return training, validation


def choose_parts(training: Part, validation: Part, refit: bool) -> tuple[list[Part], Part | None]:
    """What networks are trained on, and what is held out to score them: none with `refit`."""
    return ([training, validation], None) if refit else ([training], validation)
