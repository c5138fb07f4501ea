"""The images that only one of two models is right for: above what B fixed, below what it broke."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from stages.plots.names import shorten_names
from stages.shared.atomic_write import atomic_write
from tools.compare.paired import fixed_and_broken
from tools.shared.predictions import Predictions, read_images

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]

IMAGES_PER_ROW = 8  # images side by side
MOST_IMAGES = 16  # of each kind
NAME, REVISION = 12, 60  # letters of a class's and of a revision's name
RIGHT_COLOUR, WRONG_COLOUR = "#1a7f37", "#cf222e"
DOTS_PER_INCH = 150


def write_changes(predictions: Predictions, split: str, path: Path) -> None:
    """Draw the images that B fixed and broke as PNG."""
    figure = draw_changes(predictions, read_images(predictions, split), split)
    with atomic_write(path) as file:
        figure.savefig(file, dpi=DOTS_PER_INCH, format="png")


def draw_changes(predictions: Predictions, images: Images, split: str) -> Figure:
    """A figure of some of the images (count, height, width[, 3]) that were fixed or broken.

    First come those for whose true class the probability changed most.
    """
    a, b = predictions.revisions
    fixed, broken = order_changes(predictions)
    kinds = [("Fixed by B", fixed), ("Broken by B", broken)]
    rows = [
        math.ceil(min(max(len(indices), 1), MOST_IMAGES) / IMAGES_PER_ROW) for _, indices in kinds
    ]
    heights = [0.4 + 2.0 * count for count in rows]  # inches
    air = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)  # inches at the edges
    figure = Figure((12, 0.5 + sum(heights)), layout=air)
    places = figure.add_gridspec(2, 1, height_ratios=heights)
    a_title, b_title = shorten_names([a.title, b.title], REVISION)
    figure.suptitle(f"A = {a_title},  B = {b_title}", fontsize=13)
    for number, (count, (kind, indices)) in enumerate(zip(rows, kinds, strict=True)):
        part = figure.add_subfigure(places[number])
        most = f", the {MOST_IMAGES} that changed most" if len(indices) > MOST_IMAGES else ""
        part.suptitle(
            f"{kind}: {len(indices):,} of {len(images):,} {split} images{most}",
            x=0.01, ha="left", fontsize=12, fontweight="bold",
        )  # fmt: skip
        draw_grid(part, predictions, images, indices[:MOST_IMAGES], count)
    return figure


def order_changes(predictions: Predictions) -> tuple[Indices, Indices]:
    """Indices of the images fixed and broken, those first whose probability changed most."""
    (a, b), labels = predictions.probabilities, predictions.labels
    fixed, broken = fixed_and_broken(a, b, labels)
    every = np.arange(len(labels))
    change = np.argsort(-np.abs(b[every, labels] - a[every, labels]), kind="stable")
    return change[fixed[change]], change[broken[change]]


def draw_grid(
    part: SubFigure, predictions: Predictions, images: Images, chosen: Indices, rows: int
) -> None:
    """Each image under its true class; below it what A and B take it for, and how surely."""
    revisions, probabilities, labels, _ = predictions
    names = shorten_names(revisions[0].classes, NAME)
    for place, axes in enumerate(part.subplots(rows, IMAGES_PER_ROW, squeeze=False).flat):
        axes.axis("off")
        if place >= len(chosen):
            continue
        index = chosen[place]
        axes.imshow(images[index], cmap="gray", vmin=0, vmax=255)  # grey ones alone use these
        axes.set_title(f"True: {names[labels[index]]}", fontsize=10, pad=4)
        for line, (letter, model) in enumerate(zip("AB", probabilities, strict=True)):
            guess = int(model[index].argmax())
            axes.text(
                0.5, -0.04 - 0.15 * line, f"{letter}: {names[guess]}  {model[index, guess]:.0%}",
                transform=axes.transAxes, ha="center", va="top", fontsize=10,
                color=RIGHT_COLOUR if guess == labels[index] else WRONG_COLOUR,
            )  # fmt: skip
    if not len(chosen):
        part.text(0.5, 0.4, "There is none.", ha="center")
