"""Rows of an array that may be larger than memory, as an .npy file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import write_array_header_1_0

from stages.preprocess.source import split_rows
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.preprocess.source import Rows

SPARE = 1.01  # of what is needed: for labels, headers and blocks


def write_rows(
    path: Path,
    array: npt.NDArray[Any] | Rows,
    rows: npt.NDArray[np.intp],
    shape: tuple[int, ...],
    dtype: npt.DTypeLike,
) -> None:
    """Write these rows of an array as .npy of that shape; only blocks of it are in memory."""
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    with atomic_write(path) as file:
        write_array_header_1_0(file, header)
        for block in split_rows(rows, shape[1:]):
            file.write(np.ascontiguousarray(array[block]).data)


def write_labels(path: Path, labels: npt.NDArray[Any], dtype: npt.DTypeLike) -> None:
    with atomic_write(path) as file:
        np.save(file, labels.astype(dtype), allow_pickle=False)


def refuse_full_disk(folder: Path, images: Rows, count: int) -> None:
    """Raise UserError unless the disk of `folder` has room for so many images and a little more."""
    refuse_no_room(folder, count * int(np.prod(images.shape)), "Make room")


def refuse_no_room(folder: Path, needed: int, cure: str) -> None:
    """Raise UserError with the cure unless the disk has room for so many bytes and a few more."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed * SPARE:
        raise UserError(
            f"{folder}: {needed:,} bytes are needed there, and {free:,} are free. {cure}"
        )
