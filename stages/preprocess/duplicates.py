"""Images with equal pixels: which they are, and that they contradict neither labels nor splits."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.preprocess.corrections import DROPPED
from stages.preprocess.source import (
    MOST_NAMED,
    NO_SPLIT,
    TEST,
    Numbers,
    Pixels,
    Source,
    split_rows,
    weighted_sums,
)
from stages.shared.errors import UserError

DIGEST_BYTES = 16

Mask = npt.NDArray[np.bool_]


class Contents(NamedTuple):
    """Of each image (count,): a number, the same for equal pixels; whether it is of one colour."""

    numbers: Numbers
    is_constant: Mask


def compare_pixels(source: Source) -> Contents:
    """Which images have equal pixels, and which have the same value everywhere.

    A weighted sum, in one pass of NumPy, tells nearly all different images apart; a hash of the
    others' pixels decides.
    """
    sums = np.empty(len(source.labels), np.uint64)
    is_constant = np.zeros(len(sums), np.bool_)
    for rows in split_rows(np.arange(len(sums)), source.pixels.shape):
        pixels = source.pixels[rows]
        sums[rows] = weighted_sums(pixels)
        is_constant[rows] = are_constant(pixels)
    _, numbers, counts = np.unique(sums, return_inverse=True, return_counts=True)
    found: Numbers = numbers.astype(np.int64)
    known: dict[bytes, int] = {}
    for rows in split_rows(np.flatnonzero(counts[numbers] > 1), source.pixels.shape):
        for row, pixels in zip(rows.tolist(), source.pixels[rows], strict=True):
            digest = hashlib.blake2b(pixels.data, digest_size=DIGEST_BYTES).digest()
            found[row] = known.setdefault(digest, len(counts) + len(known))
    return Contents(found, is_constant)


def are_constant(pixels: Pixels) -> Mask:
    """Whether each image (count,) has one value, or one colour, everywhere.

    Its middle row decides of nearly all of them, so only few are looked at as a whole.
    """
    first = pixels[:, :1, :1]
    axes = tuple(range(1, pixels.ndim))
    middle = pixels.shape[1] // 2
    found: Mask = (pixels[:, middle : middle + 1] == first).all(axis=axes)
    found[found] = (pixels[found] == first[found]).all(axis=axes)
    return found


class Contradictions(NamedTuple):
    """Images (count,) to leave out: equal images differ in label, or the source splits them."""

    in_label: Mask
    in_split: Mask


def find_contradictions(
    source: Source, labels: Numbers, contents: Numbers, skip_bad: bool
) -> Contradictions:
    """Equal images with different labels, and those of a split that a later split has as well.

    `labels` are the corrected ones; images that a correction drops contradict nothing. Which images
    are left out for their split does not depend on corrections, so that none moves because of one.
    Raises UserError that names them unless skip_bad is set.
    """
    order = np.argsort(contents, kind="stable")
    several = np.bincount(contents)[contents[order]] > 1
    order = order[several]  # the images that have an equal one; equal ones follow each other
    bounds = np.flatnonzero(np.diff(contents[order])) + 1
    groups = np.split(order, bounds) if len(order) else []
    conflicts = [rows for rows in groups if len(set(labels[rows].tolist()) - {DROPPED}) > 1]
    across = [rows for rows in groups if is_across(source.splits[rows])]
    used = (labels != DROPPED) | (source.splits == TEST)
    harmful = [rows for rows in across if is_across(source.splits[rows[used[rows]]])]
    report(source, conflicts, "equal images with different labels", "all of them", skip_bad)
    report(source, harmful, "equal images in different splits", "those to train on", skip_bad)
    if groups:
        print(f"{len(order):,} images have an equal one; equal images stay in one split")
    earlier = [rows[source.splits[rows] < source.splits[rows].max()] for rows in across]
    return Contradictions(mark(conflicts, len(labels)), mark(earlier, len(labels)))


def mark(groups: list[npt.NDArray[np.intp]], count: int) -> Mask:
    """Whether each of so many images is in one of the groups."""
    marked = np.zeros(count, np.bool_)
    marked[np.concatenate(groups) if groups else []] = True
    return marked


def is_across(splits: npt.NDArray[np.uint8]) -> bool:
    """Whether the source itself has put equal images into different splits."""
    return len(set(splits.tolist()) - {NO_SPLIT}) > 1


def report(
    source: Source, groups: list[npt.NDArray[np.intp]], what: str, skipped: str, skip_bad: bool
) -> None:
    """Name the groups. Raises UserError with them unless skip_bad is set."""
    if not groups:
        return
    lines = [" = ".join(source.name_of(int(row)) for row in rows[:4]) for rows in groups]
    listed = "\n  ".join(
        lines[:MOST_NAMED]
        + ([f"and {len(lines) - MOST_NAMED:,} more"] if len(lines) > MOST_NAMED else [])
    )
    if not skip_bad:
        raise UserError(
            f"{len(groups):,} times {what}:\n  {listed}\nCorrect or remove them, or set "
            f"`skip_bad: true` in dataset.yaml, which leaves out {skipped}"
        )
    print(f"{len(groups):,} times {what}; skip_bad leaves out {skipped}:\n  {listed}")
