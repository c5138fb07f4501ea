"""The IDX format, in which MNIST and its relatives come (yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from stages.preprocess.sizes import fit_arrays
from stages.preprocess.source import TEST, TRAIN, Numbers, Source, check_numbers, hash_pixels
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset, IdxFormat

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}  # codes of whole numbers
QMNIST_COLUMNS = 8  # QMNIST's labels have the class in the first of eight columns


def read_source(raw: Path, dataset: Dataset, stated: IdxFormat, temporary: Path) -> Source:
    """The images of train_images.idx and, if there is one, test_images.idx, with their labels."""
    parts, labels, splits = [], [], []
    for name, split in (("train", TRAIN), ("test", TEST)):
        if f"{name}_images" not in vars(dataset.files):
            continue
        images, numbers = read_pair(raw, name, dataset.classes, stated.first_label)
        parts.append(images)
        labels.append(numbers)
        splits.append(np.full(len(numbers), split, np.uint8))
    first = len(labels[0])

    def name_of(row: int) -> str:
        return f"train image {row}" if row < first else f"test image {row - first}"

    return Source(
        fit_arrays(parts, dataset.images, temporary),
        np.concatenate(labels),
        np.concatenate(splits),
        None,
        name_of,
        hash_pixels(parts),
    )


def read_pair(
    raw: Path, split: str, classes: list[str], first_label: int
) -> tuple[npt.NDArray[np.uint8], Numbers]:
    """Images (count, height, width) and labels (count,) of one split, checked against each other.

    Raises UserError if counts differ or a label is out of range.
    """
    path = raw / f"{split}_images.idx"
    images = read_idx(path)
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise wrong_content_error(
            path, "images as unsigned bytes in 3 dimensions", f"{images.dtype} in {images.ndim}"
        )
    path = raw / f"{split}_labels.idx"
    labels = read_idx(path)
    if labels.ndim == 2 and labels.shape[1] == QMNIST_COLUMNS:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise wrong_content_error(path, "labels in one dimension", f"{labels.ndim}")
    if len(images) != len(labels):
        raise UserError(f"{path}: expected {len(images)} labels, one an image; found {len(labels)}")
    return images, check_numbers(labels, first_label, classes, str(path))


def read_idx(path: Path) -> npt.NDArray[Any]:
    """An IDX file of whole numbers, mapped into memory and read-only.

    The format: two zero bytes, the type, the number of dimensions, each dimension as a big-endian
    32-bit number, then the values, big-endian, too (yann.lecun.com/exdb/mnist).
    Raises UserError unless type, dimensions and the file's length all fit.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: `dvc repro fetch` brings it")
    size = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(4)
        header = file.read(4 * magic[3]) if len(magic) == 4 else b""
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not 0 < magic[3] <= 4:
        codes = ", ".join(f"{code:02x}" for code in TYPES)
        raise wrong_content_error(
            path,
            f"a header that starts with 0000, a type ({codes}) and 1 to 4 dimensions",
            magic.hex() or "nothing",
        )
    header_size = 4 + 4 * magic[3]
    if len(header) < 4 * magic[3]:
        raise wrong_content_error(path, f"a header of {header_size} bytes", f"{size} bytes")
    shape = tuple(int(number) for number in np.frombuffer(header, ">u4"))
    kind = np.dtype(TYPES[magic[2]])
    expected = header_size + int(np.prod(shape, dtype=object)) * kind.itemsize
    if size != expected or 0 in shape:
        raise wrong_content_error(
            path, f"{expected:,} bytes for the shape {shape}, none of it 0", f"{size:,}"
        )
    return np.memmap(path, kind, "r", offset=header_size, shape=shape)


def wrong_content_error(path: Path, expected: str, found: str) -> UserError:
    return UserError(f"{path}: expected {expected}; found {found}. `dvc repro -f fetch` renews it")
