"""Figures of images in titled rows about two revisions, A and B: what both of compare's share."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from stages.plots.names import shorten_names
from stages.shared.atomic_write import atomic_write
from tools.shared.revisions import Revision

IMAGES_PER_ROW = 8  # images side by side
MOST_IMAGES = 16  # of each kind
NAME, REVISION = 12, 60  # letters of a class's and of a revision's name
DOTS_PER_INCH = 150


def count_rows(images: int) -> int:
    return max(math.ceil(images / IMAGES_PER_ROW), 1)


def make_figure(
    a: Revision, b: Revision, counts: dict[str, int], row_inches: float
) -> tuple[Figure, list[SubFigure]]:
    """A figure that names A and B, and a part for each title of `counts` and so many images."""
    heights = [0.4 + row_inches * count_rows(count) for count in counts.values()]  # inches
    air = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)  # inches at the edges
    figure = Figure((12, 0.5 + sum(heights)), layout=air)
    a_title, b_title = shorten_names([a.title, b.title], REVISION)
    figure.suptitle(f"A = {a_title},  B = {b_title}", fontsize=13)
    places = figure.add_gridspec(len(counts), 1, height_ratios=heights)
    parts = [figure.add_subfigure(places[number]) for number in range(len(counts))]
    for part, title in zip(parts, counts, strict=True):
        part.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure, parts


def lay_out_axes(part: SubFigure, images: int) -> list[Axes]:
    """At least so many places for images, row after row; those that get none stay empty."""
    places = list(part.subplots(count_rows(images), IMAGES_PER_ROW, squeeze=False).flat)
    for axes in places:
        axes.axis("off")
    return places


def draw_image(axes: Axes, image: npt.NDArray[np.uint8], title: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)  # grey ones alone use these
    axes.set_title(title, fontsize=10, pad=4)


def write_below(axes: Axes, text: str, colour: str, size: int, line: int = 0) -> None:
    """Write a line below an image; `line` counts those above it."""
    axes.text(
        0.5, -0.04 - 0.15 * line, text,
        transform=axes.transAxes, ha="center", va="top", fontsize=size, color=colour,
    )  # fmt: skip


def write_figure(figure: Figure, path: Path) -> None:
    with atomic_write(path) as file:
        figure.savefig(file, dpi=DOTS_PER_INCH, format="png")
