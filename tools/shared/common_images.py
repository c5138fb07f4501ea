"""The images that several test sets have in common, where models were tested on different ones."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError
from tools.shared.contents import Contents, Hashes, Indices, number_jointly, pair_equal

# With fewer images no test can say that models differ: three fixed and none broken give p = 0.08.
FEWEST_IMAGES = 4

LeftOut = dict[str, int]  # images by the reason


class NothingInCommonError(UserError):
    """Models were tested on images that are too different to compare them."""


class Common(NamedTuple):
    """The same images in each revision's arrays; every list has an entry for each revision."""

    rows: list[Indices]
    counts: list[int]  # all images of the revision's test set
    left_out: list[LeftOut]


def find_common(tested: Sequence[Contents], trained_on: Sequence[Hashes]) -> Common:
    """The images that every test set has with the same label and that no model was trained on.

    Labels are numbers of the same classes throughout. Equal images count as often as every set
    has them.
    """
    numbers = number_jointly([*(contents.hashes for contents in tested), *trained_on])
    images, seen = numbers[: len(tested)], np.concatenate([*numbers[len(tested) :], [-1]])
    classes = 1 + max(int(contents.labels.max(initial=0)) for contents in tested)
    items = [
        number * classes + contents.labels for number, contents in zip(images, tested, strict=True)
    ]
    unseen = [np.flatnonzero(~np.isin(number, seen)) for number in images]
    pairs = pair_equal([item[rows] for item, rows in zip(items, unseen, strict=True)])
    rows = [mine[paired] for mine, paired in zip(unseen, pairs, strict=True)]
    left_out = [
        explain_left_out(index, rows[index], images, items, seen) for index in range(len(tested))
    ]
    return Common(rows, [len(contents.hashes) for contents in tested], left_out)


def explain_left_out(
    index: int,
    kept: Indices,
    images: list[Indices],
    items: Sequence[npt.NDArray[np.integer[Any]]],
    seen: Indices,
) -> LeftOut:
    """How many images of a revision are not common, by the first reason that holds."""
    others = [other for other in range(len(images)) if other != index]
    rest = np.ones(len(images[index]), bool)
    rest[kept] = False
    trained_on = rest & np.isin(images[index], seen)
    elsewhere, alike = rest.copy(), rest.copy()
    for other in others:
        elsewhere &= np.isin(images[index], images[other])
        alike &= np.isin(items[index], items[other])
    relabelled = elsewhere & ~alike & ~trained_on
    return {
        "trained_on": int(trained_on.sum()),
        "other_label": int(relabelled.sum()),
        "absent": int((rest & ~trained_on & ~relabelled).sum()),
    }


def refuse_too_few(common: Common, titles: Sequence[str], split: str) -> None:
    """Raise NothingInCommonError if images in common are too few to tell models apart."""
    count = len(common.rows[0])
    if count >= FEWEST_IMAGES:
        return
    sets = [
        f"  {title}: {total:,} images; left out: {list_reasons(left_out) or 'none'}"
        for title, total, left_out in zip(titles, common.counts, common.left_out, strict=True)
    ]
    raise NothingInCommonError(
        f"expected {FEWEST_IMAGES} {split} images or more that all have in common, with the same "
        f"label and trained on by none; found {count}:\n" + "\n".join(sets) + "\nCompare "
        "revisions with the same test images. `python -m tools.compare --data` says how the data "
        "differ."
    )


def list_reasons(left_out: LeftOut) -> str:
    """Such as: 9,600 that a model was trained on, 3 with another label elsewhere."""
    words = {
        "trained_on": "that a model was trained on",
        "other_label": "with another label elsewhere",
        "absent": "absent elsewhere",
    }
    return ", ".join(f"{left_out[key]:,} {text}" for key, text in words.items() if left_out[key])
