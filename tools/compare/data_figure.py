"""Examples of the images that differ between two revisions: each kind of change in rows."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from stages.plots.names import shorten_names
from stages.shared.atomic_write import atomic_write
from tools.compare.data_diff import DataDiff, Images
from tools.compare.figure import DOTS_PER_INCH, IMAGES_PER_ROW, MOST_IMAGES, NAME, REVISION
from tools.shared.contents import Indices
from tools.shared.paths import IMAGES, SPLITS
from tools.shared.revisions import Revision
from tools.shared.stored_arrays import read_arrays

Arrays = dict[str, npt.NDArray[np.uint8]]  # images (count, height, width[, 3]) by split


class Example(NamedTuple):
    image: npt.NDArray[np.uint8]
    title: str
    place: str  # which row of which array


def write_data_changes(a: Revision, b: Revision, diff: DataDiff, path: Path) -> None:
    """Draw examples of the images that differ as PNG."""
    figure = draw_data_changes(a, b, diff, read_splits(a), read_splits(b))
    with atomic_write(path) as file:
        figure.savefig(file, dpi=DOTS_PER_INCH, format="png")


def read_splits(revision: Revision) -> Arrays:
    arrays = read_arrays(revision, [str(IMAGES[split]) for split in SPLITS])
    return dict(zip(SPLITS, arrays, strict=True))


def draw_data_changes(
    a: Revision, b: Revision, diff: DataDiff, of_a: Arrays, of_b: Arrays
) -> Figure:
    """A figure of examples of each kind of change that there is, from all classes in turn."""
    kinds = [kind for kind in list_kinds(diff, of_a, of_b) if kind[1]]
    rows = [math.ceil(len(examples) / IMAGES_PER_ROW) for _, examples in kinds]
    heights = [0.4 + 1.9 * count for count in rows]  # inches
    air = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)  # inches at the edges
    figure = Figure((12, 0.5 + sum(heights)), layout=air)
    places = figure.add_gridspec(len(kinds), 1, height_ratios=heights)
    a_title, b_title = shorten_names([a.title, b.title], REVISION)
    figure.suptitle(f"A = {a_title},  B = {b_title}", fontsize=13)
    for number, (title, examples) in enumerate(kinds):
        part = figure.add_subfigure(places[number])
        part.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        draw_examples(part, examples, rows[number])
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


def draw_examples(part: SubFigure, examples: list[Example], rows: int) -> None:
    """Each image under its label; below it the place where it stands."""
    for place, axes in enumerate(part.subplots(rows, IMAGES_PER_ROW, squeeze=False).flat):
        axes.axis("off")
        if place >= len(examples):
            continue
        example = examples[place]
        axes.imshow(example.image, cmap="gray", vmin=0, vmax=255)  # grey ones alone use these
        axes.set_title(example.title, fontsize=10, pad=4)
        axes.text(
            0.5, -0.04, example.place,
            transform=axes.transAxes, ha="center", va="top", fontsize=8, color="dimgray",
        )  # fmt: skip
