"""Examples of the images that differ between two revisions: each kind of change in rows."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from stages.plots.names import shorten_names
from tools.compare.data_diff import DataDiff, Images
from tools.compare.image_rows import (
    MOST_IMAGES,
    NAME,
    draw_image,
    lay_out_axes,
    make_figure,
    write_below,
    write_figure,
)
from tools.shared.contents import Indices
from tools.shared.paths import IMAGES, SPLITS
from tools.shared.revisions import Revision
from tools.shared.stored_arrays import read_arrays

ROW_INCHES = 1.9

Arrays = dict[str, npt.NDArray[np.uint8]]  # images (count, height, width[, 3]) by split


class Example(NamedTuple):
    image: npt.NDArray[np.uint8]
    title: str
    place: str  # which row of which array


def write_data_changes(a: Revision, b: Revision, diff: DataDiff, path: Path) -> None:
    """Draw examples of the images that differ as PNG."""
    write_figure(draw_data_changes(a, b, diff, read_splits(a), read_splits(b)), path)


def read_splits(revision: Revision) -> Arrays:
    arrays = read_arrays(revision, [str(IMAGES[split]) for split in SPLITS])
    return dict(zip(SPLITS, arrays, strict=True))


def draw_data_changes(
    a: Revision, b: Revision, diff: DataDiff, of_a: Arrays, of_b: Arrays
) -> Figure:
    """A figure of examples of each kind of change that there is, from all classes in turn."""
    kinds = [kind for kind in list_kinds(diff, of_a, of_b) if kind[1]]
    counts = {title: len(examples) for title, examples in kinds}
    figure, parts = make_figure(a, b, counts, ROW_INCHES)
    for part, (_, examples) in zip(parts, kinds, strict=True):
        # Each image under its label; below it the place where it stands.
        for axes, example in zip(lay_out_axes(part, len(examples)), examples, strict=False):
            draw_image(axes, example.image, example.title)
            write_below(axes, example.place, "dimgray", size=8)
    return figure


def list_kinds(diff: DataDiff, of_a: Arrays, of_b: Arrays) -> list[tuple[str, list[Example]]]:
    """The title of each kind of change, and examples of it."""
    names = shorten_names(diff.names, NAME)
    a, b = diff.a, diff.b
    labels_a, labels_b = (np.array(names, object)[images.labels] for images in (a, b))
    relabelled = [
        Example(take_image(b, j, of_b), f"A: {labels_a[i]}\nB: {labels_b[j]}", name_place(b, j))
        for i, j in choose_pairs(diff, diff.relabelled)
    ]
    moved = [
        Example(
            take_image(b, j, of_b),
            labels_b[j] if a.labels[i] == b.labels[j] else f"A: {labels_a[i]}\nB: {labels_b[j]}",
            f"{name_place(a, i)}\n→ {name_place(b, j)}",
        )
        for i, j in choose_pairs(diff, diff.moved)
    ]
    removed = [
        Example(take_image(a, i, of_a), labels_a[i], name_place(a, i))
        for i in choose_evenly(diff.removed, a.labels[diff.removed])
    ]
    added = [
        Example(take_image(b, j, of_b), labels_b[j], name_place(b, j))
        for j in choose_evenly(diff.added, b.labels[diff.added])
    ]
    return [
        (title_kind("Relabelled", len(diff.relabelled[0])), relabelled),
        (title_kind("Moved to another split", len(diff.moved[0])), moved),
        (title_kind("Removed", len(diff.removed)), removed),
        (title_kind("Added", len(diff.added)), added),
    ]


def title_kind(kind: str, count: int) -> str:
    total = f"{count:,} image{'' if count == 1 else 's'}"
    return f"{kind}: {total}" + (f", {MOST_IMAGES} of them" if count > MOST_IMAGES else "")


def choose_pairs(diff: DataDiff, pairs: tuple[Indices, Indices]) -> list[tuple[int, int]]:
    """A few pairs of the same image in A and in B, spread over pairs of labels."""
    a, b = pairs
    labels = diff.a.labels[a] * len(diff.names) + diff.b.labels[b]
    return [(int(a[row]), int(b[row])) for row in choose_evenly(np.arange(len(a)), labels)]


def choose_evenly(values: Indices, groups: npt.NDArray[Any]) -> list[int]:
    """At most MOST_IMAGES of the values, spread over the groups (count,) that they belong to."""
    if not len(values):
        return []
    ordered = values[np.argsort(groups, kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(len(ordered), MOST_IMAGES)).astype(int)
    return [int(value) for value in ordered[places]]


def take_image(images: Images, index: int, arrays: Arrays) -> npt.NDArray[np.uint8]:
    image: npt.NDArray[np.uint8] = arrays[SPLITS[images.splits[index]]][images.rows[index]]
    return image


def name_place(images: Images, index: int) -> str:
    """Such as: x_train[17]."""
    return f"x_{SPLITS[images.splits[index]]}[{images.rows[index]}]"
