"""The images that only one of two models is right for: above what B fixed, below what it broke."""

import math

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from stages.scores import hits
from tools.predictions import Predictions

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]

COLUMNS, MOST = 8, 16  # images side by side, and of each kind
RIGHT, WRONG = "#1a7f37", "#cf222e"


def changes(predictions: Predictions, images: Images, split: str) -> Figure:
    """A figure of some of the images (count, height, width) that were fixed and that were broken.

    First come those for whose true class the probability changed most.
    """
    a, b = predictions.revisions
    fixed, broken = fixed_and_broken(predictions)
    kinds = [("Fixed by B", fixed), ("Broken by B", broken)]
    rows = [math.ceil(min(max(len(indices), 1), MOST) / COLUMNS) for _, indices in kinds]
    heights = [0.4 + 2.0 * count for count in rows]  # inches
    air = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)  # inches at the edges
    figure = Figure((12, 0.5 + sum(heights)), layout=air)
    places = figure.add_gridspec(2, 1, height_ratios=heights)
    figure.suptitle(f"A = {a.title},  B = {b.title}", fontsize=13)
    for number, (count, (kind, indices)) in enumerate(zip(rows, kinds, strict=True)):
        part = figure.add_subfigure(places[number])
        most = f", the {MOST} that changed most" if len(indices) > MOST else ""
        part.suptitle(
            f"{kind}: {len(indices):,} of {len(images):,} {split} images{most}",
            x=0.01, ha="left", fontsize=12, fontweight="bold",
        )  # fmt: skip
        grid(part, predictions, images, indices[:MOST], count)
    return figure


def fixed_and_broken(predictions: Predictions) -> tuple[Indices, Indices]:
    """Indices of the images that only B is right for, and that only A is; the largest first."""
    _, (a, b), labels = predictions
    a_right, b_right = hits(a, labels), hits(b, labels)
    every = np.arange(len(labels))
    change = np.argsort(-np.abs(b[every, labels] - a[every, labels]), kind="stable")
    return change[(b_right & ~a_right)[change]], change[(a_right & ~b_right)[change]]


def grid(
    part: SubFigure, predictions: Predictions, images: Images, chosen: Indices, rows: int
) -> None:
    """Each image under its true class; below it what A and B take it for, and how surely."""
    revisions, probabilities, labels = predictions
    names = revisions[0].classes
    for place, axes in enumerate(part.subplots(rows, COLUMNS, squeeze=False).flat):
        axes.axis("off")
        if place >= len(chosen):
            continue
        index = chosen[place]
        axes.imshow(images[index], cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"True: {names[labels[index]]}", fontsize=10, pad=4)
        for line, (letter, model) in enumerate(zip("AB", probabilities, strict=True)):
            guess = int(model[index].argmax())
            axes.text(
                0.5, -0.04 - 0.15 * line, f"{letter}: {names[guess]}  {model[index, guess]:.0%}",
                transform=axes.transAxes, ha="center", va="top", fontsize=10,
                color=RIGHT if guess == labels[index] else WRONG,
            )  # fmt: skip
    if not len(chosen):
        part.text(0.5, 0.4, "There is none.", ha="center")
