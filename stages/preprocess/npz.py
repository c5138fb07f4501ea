"""An .npz file with the array names that Keras and MedMNIST use."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from stages.preprocess.rows import refuse_no_room
from stages.preprocess.sizes import fit_arrays
from stages.preprocess.source import (
    NO_SPLIT,
    TEST,
    TRAIN,
    VALIDATION,
    Source,
    check_numbers,
    hash_pixels,
)
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset, NpzFormat

# By split, the names of its images and labels: Keras', MedMNIST's, and of a set without splits.
NAMES = {
    "train": (TRAIN, [("x_train", "y_train"), ("train_images", "train_labels")]),
    "validation": (
        VALIDATION,
        [("x_validation", "y_validation"), ("x_val", "y_val"), ("val_images", "val_labels")],
    ),
    "test": (TEST, [("x_test", "y_test"), ("test_images", "test_labels")]),
    "all": (NO_SPLIT, [("x", "y"), ("images", "labels")]),
}
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def read_source(raw: Path, dataset: Dataset, stated: NpzFormat, temporary: Path) -> Source:
    """The images and labels of all.npz; its arrays are unpacked to `temporary` and mapped."""
    path = raw / "all.npz"
    if not path.is_file():
        raise UserError(f"{path} is missing: `dvc repro fetch` brings it")
    parts, labels, splits, starts = [], [], [], [(0, "")]
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            for images_name, labels_name, split in find_arrays(set(members), path):
                images, numbers = (
                    unpack_array(archive, members[name], temporary)
                    for name in (images_name, labels_name)
                )
                numbers = one_label_each(numbers, len(images), labels_name)
                refuse_other_types(images, images_name)
                parts.append(images)
                labels.append(
                    check_numbers(numbers, stated.first_label, dataset.classes, labels_name)
                )
                splits.append(np.full(len(numbers), split, np.uint8))
                starts.append((starts[-1][0] + len(numbers), images_name))
    except DAMAGED as fault:
        if isinstance(fault, OSError) and fault.errno:
            raise  # no room, no access: the file is not to blame
        raise UserError(f"{path}: expected a complete .npz file: {fault}") from None

    def name_of(row: int) -> str:
        before = 0
        for end, name in starts[1:]:
            if row < end:
                return f"{name}[{row - before}]"
            before = end
        raise IndexError(row)

    return Source(
        fit_arrays(parts, dataset.images, temporary / "fitted"),
        np.concatenate(labels),
        np.concatenate(splits),
        None,
        name_of,
        hash_pixels(parts),
    )


def find_arrays(members: set[str], path: Path) -> list[tuple[str, str, int]]:
    """The names of images and labels and the split of each pair that the file has."""
    found = [
        (images, labels, split)
        for split, pairs in NAMES.values()
        for images, labels in pairs
        if {images, labels} <= members
    ]
    if not found or (found[0][2] != TRAIN and found[0][2] != NO_SPLIT):
        expected = ", ".join(f"{x} and {y}" for _, pairs in NAMES.values() for x, y in pairs)
        raise UserError(
            f"{path}: expected pairs of arrays named {expected}; found "
            f"{', '.join(sorted(members)) or 'none'}"
        )
    return found


def unpack_array(archive: zipfile.ZipFile, member: str, temporary: Path) -> npt.NDArray[Any]:
    """The array, mapped from a file: it may be larger than memory, and the archive packs it."""
    path = temporary / member
    refuse_no_room(temporary, archive.getinfo(member).file_size, "Make room")
    with archive.open(member) as packed, path.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    return open_memmap(path, mode="r")  # which refuses pickled objects


def one_label_each(labels: npt.NDArray[Any], count: int, name: str) -> npt.NDArray[np.integer[Any]]:
    """Labels (count,), from (count,) or MedMNIST's (count, 1)."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != count:
        raise UserError(
            f"{name}: expected {count} whole numbers, one label an image; found {labels.shape} as "
            f"{labels.dtype}. Images of several labels each are not supported"
        )
    return labels


def refuse_other_types(images: npt.NDArray[Any], name: str) -> None:
    if images.dtype != np.uint8:
        raise UserError(
            f"{name}: expected values from 0 to 255 as uint8, found {images.dtype}: save it again "
            "with array.astype('uint8') after bringing its values to that range"
        )
