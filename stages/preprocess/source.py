"""The raw images as every format gives them: labels, splits, groups, and pixels by number."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from mmap import MADV_DONTNEED, mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

DIGEST_BYTES = 32  # of a SHA-256
NO_SPLIT, TRAIN, VALIDATION, TEST = range(4)  # what a source says of an image
SPLIT_NUMBERS = {"": NO_SPLIT, "train": TRAIN, "validation": VALIDATION, "test": TEST}
BLOCK_BYTES = 1 << 20  # of images in memory at once
MOST_NAMED = 20  # images that a message names; the rest it counts


class Rows:
    """Images of several arrays as if these were one; only the rows that are asked for are read.

    With `places`, image i is row places[i] of the arrays.
    """

    def __init__(self, arrays: Sequence[Pixels], places: Numbers | None = None) -> None:
        self.arrays = arrays
        self.starts = np.cumsum([0, *map(len, arrays)])
        self.places = np.arange(self.starts[-1]) if places is None else places

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width) of an image, or (height, width, 3)."""
        return self.arrays[0].shape[1:]

    def __getitem__(self, images: npt.NDArray[np.integer[Any]]) -> Pixels:
        rows = self.places[images]
        if len(self.arrays) == 1:  # without a second copy
            only: Pixels = self.arrays[0][rows]
            release_memory(self.arrays[0])
            return only
        found = np.empty((len(rows), *self.shape), np.uint8)
        array_of = np.searchsorted(self.starts, rows, side="right") - 1
        for number, array in enumerate(self.arrays):
            mine = array_of == number
            if mine.any():
                found[mine] = array[rows[mine] - self.starts[number]]
                release_memory(array)
        return found


def split_rows(
    rows: npt.NDArray[np.integer[Any]], shape: tuple[int, ...]
) -> Iterator[npt.NDArray[np.integer[Any]]]:
    """Blocks of the rows, each of which has BLOCK_BYTES of images of that shape or a little less.

    Rows far apart bring their neighbours in the file into memory, too: so the blocks are small.
    """
    count = max(1, BLOCK_BYTES // int(np.prod(shape)))
    for start in range(0, len(rows), count):
        yield rows[start : start + count]


def weighted_sums(pixels: Pixels) -> npt.NDArray[np.uint64]:
    """The sum (count,), modulo 2**64, of each image's eight-byte words times fixed odd numbers.

    Images that differ in one word have different sums, others nearly always.
    """
    flat = pixels.reshape(len(pixels), -1)
    if flat.shape[1] % 8:
        flat = np.pad(flat, ((0, 0), (0, -flat.shape[1] % 8)))
    words = flat.view(np.uint64)
    weights = np.random.default_rng(0).integers(2**63, size=words.shape[1], dtype=np.uint64)
    return words @ (weights * 2 + 1)


def release_memory(array: npt.NDArray[Any]) -> None:
    """Let the system take back the memory of a mapped file; what is read again comes from disk.

    Otherwise a process that has read all of it counts as large as the file.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap) and hasattr(base, "madvise"):
        base.madvise(MADV_DONTNEED)


@dataclass(frozen=True)
class Source:
    """`labels` (count,) are numbers of classes, `splits` (count,) what the source says of each.

    `groups` (count,) numbers images that belong together, None without groups. `name_of` gives
    where an image came from, for messages. `digests_of` gives the SHA-256 (rows, 32) of the bytes
    that the source has of images: of their file, or of their pixels before any fitting to size.
    """

    pixels: Rows
    labels: Numbers
    splits: Pixels
    groups: Numbers | None
    name_of: Callable[[int], str]
    digests_of: Callable[[npt.NDArray[np.integer[Any]]], Pixels]

    def hash_of(self, image: int) -> str:
        """The SHA-256 (hex) of an image, by which corrections.csv names it."""
        return self.digests_of(np.array([image])).tobytes().hex()


def hash_pixels(
    arrays: Sequence[Pixels],
) -> Callable[[npt.NDArray[np.integer[Any]]], Pixels]:
    """`digests_of` of images that come as arrays (count, height, width[, channels])."""
    starts = np.cumsum([0, *map(len, arrays)])

    def digests_of(images: npt.NDArray[np.integer[Any]]) -> Pixels:
        found = np.empty((len(images), DIGEST_BYTES), np.uint8)
        array_of = np.searchsorted(starts, images, side="right") - 1
        for number, array in enumerate(arrays):
            mine = np.flatnonzero(array_of == number)
            for places in split_rows(mine, array.shape[1:]):
                pixels = np.ascontiguousarray(array[images[places] - starts[number]])
                flat = pixels.reshape(len(pixels), -1)
                digests = b"".join([hashlib.sha256(each.data).digest() for each in flat])
                found[places] = np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)
                release_memory(array)
        return found

    return digests_of


def number_labels(labels: Sequence[str], classes: list[str], where: str) -> Numbers:
    """The number of each named class. Raises UserError for names that dataset.yaml lacks."""
    numbers = {name: number for number, name in enumerate(classes)}
    unknown = sorted(set(labels) - set(numbers))
    if unknown:
        raise UserError(
            f"{where}: {len(unknown)} classes that dataset.yaml does not name: "
            f"{', '.join(map(repr, unknown[:MOST_NAMED]))}. Add them to `classes` there, at its end"
        )
    return np.array([numbers[label] for label in labels], np.int64)


def check_numbers(
    labels: npt.NDArray[np.integer[Any]], first_label: int, classes: list[str], where: str
) -> Numbers:
    """Labels counted from 0. Raises UserError unless each is the number of a class."""
    numbers = labels.astype(np.int64) - first_label
    last = len(classes) - 1
    if len(numbers) and (numbers.min() < 0 or numbers.max() > last):
        raise UserError(
            f"{where}: expected labels from {first_label} to {last + first_label}, one a class of "
            f"dataset.yaml; found {labels.min()} to {labels.max()}: correct `classes` or "
            "format.first_label"
        )
    return numbers


def sort_roles(roles: Iterable[str]) -> list[str]:
    """The roles of a table's parts: train, train_2, ..., validation, test; not as YAML has them."""

    def place(role: str) -> tuple[int, int, str]:
        number = role.partition("_")[2]
        return SPLIT_NUMBERS[split_of_role(role)], int(number or 1), role

    return sorted(roles, key=place)


def split_of_role(role: str) -> str:
    """The split that a file's role says: that of train_2 is train, that of all is none ("")."""
    return re.sub(r"all|_\d+", "", role)


def number_splits(splits: Sequence[str], where: str) -> Pixels:
    """The number of each split. Raises UserError for another word than the three."""
    unknown = sorted(set(splits) - set(SPLIT_NUMBERS))
    if unknown:
        raise UserError(
            f"{where}: expected the splits train, validation, test; found "
            f"{', '.join(map(repr, unknown[:MOST_NAMED]))}"
        )
    return np.array([SPLIT_NUMBERS[split] for split in splits], np.uint8)


def number_groups(groups: Sequence[str]) -> Numbers:
    """A number for each name; an image of no name ("") is a group of its own."""
    numbers: dict[str, int] = {}
    return np.array(
        [
            numbers.setdefault(name if name else f"\0{place}", len(numbers))
            for place, name in enumerate(groups)
        ],
        np.int64,
    )
