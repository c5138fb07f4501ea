"""Which images a revision has, by a hash of their pixels, and which of several sets are equal."""

import math
from collections.abc import Sequence
from functools import reduce
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.preprocess.source import release_memory
from stages.shared.scores import Labels
from tools.shared.paths import IMAGES, LABELS
from tools.shared.revisions import Revision
from tools.shared.stored_arrays import read_arrays

Hashes = npt.NDArray[np.bytes_]  # (count,), HASH_BYTES each
Indices = npt.NDArray[np.intp]
Integers = npt.NDArray[np.integer[Any]]

HASH_BYTES = 16  # that any two of a million different images agree has a chance of 1e-27
BLOCK = 2**24  # bytes of images mapped at once

HASHES_BY_MD5: dict[str, Hashes] = {}  # of arrays' files: parts of a page ask for the same ones


class Contents(NamedTuple):
    """The images of a split: a hash of each one's pixels and its label, both (count,)."""

    hashes: Hashes
    labels: Labels
    shape: tuple[int, ...]  # of an image: (height, width) or (height, width, 3)


def read_contents(revision: Revision, splits: Sequence[str]) -> dict[str, Contents]:
    """The revision's images by split.

    Raises AbsentArraysError if an array is not here, UserError if it is not what it should be.
    """
    paths = [str(arrays[split]) for split in splits for arrays in (IMAGES, LABELS)]
    arrays = dict(zip(paths, read_arrays(revision, paths), strict=True))
    contents = {}
    for split in splits:
        path = str(IMAGES[split])
        md5 = revision.made[path]
        if md5 not in HASHES_BY_MD5:
            HASHES_BY_MD5[md5] = hash_images(arrays[path])
        labels = np.array(arrays[str(LABELS[split])])
        contents[split] = Contents(HASHES_BY_MD5[md5], labels, arrays[path].shape[1:])
    return contents


def hash_images(images: npt.NDArray[np.uint8]) -> Hashes:
    """A hash (count,) of each image's pixels; of a mapped array only a block is in memory."""
    size = math.prod(images.shape[1:])  # bytes of an image
    pixels = images.reshape(len(images), size)
    rows = max(1, BLOCK // size)
    digests = []
    for start in range(0, len(pixels), rows):
        block = np.ascontiguousarray(pixels[start : start + rows])
        digests.append(b"".join(blake2b(row, digest_size=HASH_BYTES).digest() for row in block))
        release_memory(images)
    return np.frombuffer(b"".join(digests), f"S{HASH_BYTES}")


def number_jointly(sides: Sequence[npt.NDArray[Any]]) -> list[Indices]:
    """A number for each value, the same for equal values whichever side they stand on."""
    _, numbers = np.unique(np.concatenate(sides), return_inverse=True)
    return np.split(numbers, np.cumsum([len(side) for side in sides])[:-1])


def pair_equal(sides: Sequence[Integers]) -> list[Indices]:
    """The rows of each side whose value all sides have; the first side's rows are in order.

    Values that repeat count as often as they stand on every side: the first of one side pairs with
    the first of another, the second with the second.
    """
    total = sum(map(len, sides))
    distinct = [
        numbers * total + count_earlier(numbers) for numbers in number_jointly(sides)
    ]  # no value repeats within a side
    common = reduce(np.intersect1d, distinct)
    rows = []
    for values in distinct:
        order = np.argsort(values)
        rows.append(order[np.searchsorted(values, common, sorter=order)])
    by_first = np.argsort(rows[0])
    return [found[by_first] for found in rows]


def count_earlier(values: Indices) -> Indices:
    """How many equal values stand before each one."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    earlier = np.empty_like(order)
    earlier[order] = np.arange(len(values)) - np.searchsorted(ordered, ordered)
    return earlier
