"""Draws the figures and writes them as PNG, half of them in a second process."""

import multiprocessing
import os
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from stages.shared.atomic_write import atomic_write

# Of zlib's ways the one for large areas of one colour: files are a fifth smaller than at level 1,
# and no slower to make.
COMPRESSION = zlib.Z_RLE

Drawings = dict[Path, Callable[[], Figure]]


def save_figures(figures: dict[str, Callable[[], Figure]], folder: Path, resolution: int) -> None:
    """Draw each figure and save it under its name, in so many dots per inch.

    On two cores or more, another process does every second one, with the same bytes.
    """
    drawings = {folder / f"{name}.png": draw for name, draw in figures.items()}
    if can_fork():
        theirs = dict(list(drawings.items())[1::2])
        ours = {path: drawings[path] for path in drawings if path not in theirs}
        with do_meanwhile(try_each, theirs, resolution) as other:
            save_each(ours, resolution)
        if other.exitcode:  # it was killed for lack of memory, say, or a figure has a fault
            save_each(theirs, resolution)
    else:
        save_each(drawings, resolution)
    for path in drawings:
        print(f"drew {path}")


def can_fork() -> bool:
    """Whether there is a second core, and a system where a fork is safe: it is not on macOS."""
    return sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1


@contextmanager
def do_meanwhile(task: Callable[..., None], *arguments: Any) -> Iterator[BaseProcess]:
    """A process that does this and ends before the block does. It gets the arguments by fork."""
    other = multiprocessing.get_context("fork").Process(target=task, args=arguments)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        # Python 3.12 warns of a fork beside the threads of NumPy's BLAS, which copes with it.
        other.start()
    try:
        yield other
    finally:
        other.join()


def try_each(drawings: Drawings, resolution: int) -> None:
    try:
        save_each(drawings, resolution)
    except Exception:  # the first process draws them again, and says what is wrong
        sys.exit(1)


def save_each(drawings: Drawings, resolution: int) -> None:
    for path, draw in drawings.items():
        save_figure(path, draw(), resolution)


def save_figure(path: Path, figure: Figure, resolution: int) -> None:
    """Write what Figure.savefig would, without transparency.

    savefig goes through the whole figure twice, to find a size that is known here.
    """
    figure.set_dpi(resolution)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    image = Image.fromarray(pixels).convert("RGB")
    with atomic_write(path) as file:
        image.save(file, "png", compress_type=COMPRESSION, dpi=(resolution, resolution))
