"""The images that only one of two models is right for: above what B fixed, below what it broke."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure, SubFigure

from stages.plots.names import shorten_names
from tools.compare.image_rows import (
    MOST_IMAGES,
    NAME,
    draw_image,
    lay_out_axes,
    make_figure,
    write_below,
    write_figure,
)
from tools.compare.paired import fixed_and_broken
from tools.shared.predictions import Predictions, read_images

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.intp]

RIGHT_COLOUR, WRONG_COLOUR = "#1a7f37", "#cf222e"
ROW_INCHES = 2.0


def write_changes(predictions: Predictions, split: str, path: Path) -> None:
    """Draw the images that B fixed and broke as PNG."""
    write_figure(draw_changes(predictions, read_images(predictions, split), split), path)


def draw_changes(predictions: Predictions, images: Images, split: str) -> Figure:
    """A figure of some of the images (count, height, width[, 3]) that were fixed or broken.

    First come those for whose true class the probability changed most.
    """
    a, b = predictions.revisions
    fixed, broken = order_changes(predictions)
    kinds = [("Fixed by B", fixed), ("Broken by B", broken)]
    counts = {}
    for kind, indices in kinds:
        most = f", the {MOST_IMAGES} that changed most" if len(indices) > MOST_IMAGES else ""
        title = f"{kind}: {len(indices):,} of {len(images):,} {split} images{most}"
        counts[title] = len(indices[:MOST_IMAGES])
    figure, parts = make_figure(a, b, counts, ROW_INCHES)
    for part, (_, indices) in zip(parts, kinds, strict=True):
        draw_grid(part, predictions, images, indices[:MOST_IMAGES])
    return figure


def order_changes(predictions: Predictions) -> tuple[Indices, Indices]:
    """Indices of the images fixed and broken, those first whose probability changed most."""
    (a, b), labels = predictions.probabilities, predictions.labels
    fixed, broken = fixed_and_broken(a, b, labels)
    every = np.arange(len(labels))
    change = np.argsort(-np.abs(b[every, labels] - a[every, labels]), kind="stable")
    return change[fixed[change]], change[broken[change]]


def draw_grid(part: SubFigure, predictions: Predictions, images: Images, chosen: Indices) -> None:
    """Each image under its true class; below it what A and B take it for, and how surely."""
    revisions, probabilities, labels, _ = predictions
    names = shorten_names(revisions[0].classes, NAME)
    for axes, index in zip(lay_out_axes(part, len(chosen)), chosen, strict=False):
        draw_image(axes, images[index], f"True: {names[labels[index]]}")
        for line, (letter, model) in enumerate(zip("AB", probabilities, strict=True)):
            guess = int(model[index].argmax())
            text = f"{letter}: {names[guess]}  {model[index, guess]:.0%}"
            colour = RIGHT_COLOUR if guess == labels[index] else WRONG_COLOUR
            write_below(axes, text, colour, size=10, line=line)
    if not len(chosen):
        part.text(0.5, 0.4, "There is none.", ha="center")
