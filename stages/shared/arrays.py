"""Arrays as .npy files, and the images and labels of a split."""

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from stages.shared.atomic_write import atomic_write
from stages.shared.errors import HOW_TO_RESTORE, UserError

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer[Any]]

MOST_CLASSES = 1000  # that a dataset.yaml may name
COLOURS = 3  # red, green, blue

# What NumPy raises for a damaged header, depending on which byte is wrong.
HEADER_ERRORS = (ValueError, TypeError, SyntaxError, TokenError, OverflowError)


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of an .npy file, mapped into memory and read-only; pickled objects are refused.

    Mapping compares the header's shape with the file's size before it takes any memory.
    """
    try:
        return open_memmap(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {HOW_TO_RESTORE}") from None
    except HEADER_ERRORS as error:
        raise UserError(
            f"{path}: expected a complete .npy array: {error}. {HOW_TO_RESTORE}"
        ) from None


def read_part(folder: Path, split: str, class_count: int = MOST_CLASSES) -> tuple[Bytes, Labels]:
    """The images and labels of a split: x_SPLIT.npy and y_SPLIT.npy.

    Images are uint8, grey (count, height, width) or in colour (count, height, width, 3).

    Raises UserError unless there is at least one image and a label below `class_count` for each.
    """
    x, y = (folder / f"{name}_{split}.npy" for name in ("x", "y"))
    images, labels = read_array(x), read_labels(y, class_count)
    is_grey, is_colour = images.ndim == 3, images.ndim == 4 and images.shape[3] == COLOURS
    if images.dtype != np.uint8 or not (is_grey or is_colour) or 0 in images.shape:
        expected = f"images (count, height, width) or (count, height, width, {COLOURS}) as uint8"
        raise wrong_array(x, f"{expected}, none of it 0", images)
    if len(images) != len(labels):
        raise wrong_array(y, f"{len(images)} labels, one an image of {x.name}", f"{len(labels)}")
    return images, labels


def read_labels(path: Path, class_count: int = MOST_CLASSES) -> Labels:
    """The labels of an .npy file, uint16 as written for more than 256 classes, else uint8.

    Raises UserError unless each is from 0 to class_count - 1.
    """
    labels: Labels = read_array(path)
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or len(labels) == 0:
        raise wrong_array(path, "labels (count,) as integers, at least one", labels)
    low, high = labels.min(), labels.max()
    if low < 0 or high >= class_count:
        raise wrong_array(path, f"labels from 0 to {class_count - 1}", f"{low} to {high}")
    return labels


def wrong_array(path: Path, expected: str, found: npt.NDArray[Any] | str) -> UserError:
    """The error for an array that preprocess would not write."""
    if not isinstance(found, str):
        found = f"{found.shape} as {found.dtype}"
    return UserError(
        f"{path}: expected {expected}; found {found}. `dvc repro preprocess` makes it again"
    )


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)
