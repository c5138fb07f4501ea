"""Which images are held out for the test and for validation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from stages.preprocess.source import NO_SPLIT, TEST, VALIDATION, Numbers
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Preprocess, Splits

Indices = npt.NDArray[np.intp]

TEST_SEED = 0  # the test images stay the same whatever params.yaml says
MOST_NAMED = 10  # classes that a message names


class Given(NamedTuple):
    """The images to share out, arrays (count,): labels as given, the source's splits, units.

    Images of the same unit stay together: they are equal or belong to one group.
    """

    labels: Numbers
    own: npt.NDArray[np.uint8]
    units: Numbers


def split_images(
    given: Given, classes: list[str], splits: Splits, held: Preprocess
) -> dict[str, Indices]:
    """The images of train, validation and test, each in rising order.

    What the source does not hold out is split by test_fraction of dataset.yaml and by
    validation_fraction of params.yaml. Raises UserError if those are at odds with the source.
    """
    labels, own, units = given
    everything = np.arange(len(labels))
    test = everything[own == TEST]
    rest = everything[own != TEST]
    if len(test) and splits.test_fraction:
        raise UserError(
            f"dataset.yaml: splits.test_fraction is {splits.test_fraction}, but the source has "
            f"{len(test):,} test images of its own: write 0.0"
        )
    if not len(test):
        if not splits.test_fraction:
            raise UserError(
                "the source has no test images: say in dataset.yaml which share of all images to "
                "hold out for it, splits.test_fraction: 0.2"
            )
        free = everything[own != VALIDATION]
        kept, held_out = hold_out(
            labels[free], units[free], classes, splits.test_fraction, splits.test_split, TEST_SEED,
            "splits.test_fraction", least_kept=1 if (own == VALIDATION).any() else 2,
        )  # fmt: skip
        test = free[held_out]
        rest = np.sort(np.concatenate([free[kept], everything[own == VALIDATION]]))
    validation = rest[own[rest] == VALIDATION]
    if len(validation):
        print("the source has validation images of its own: preprocess.validation_fraction idles")
        train = rest[own[rest] != VALIDATION]
    else:
        kept, held_out = hold_out(
            labels[rest], units[rest], classes, held.validation_fraction, held.split,
            held.split_seed, "preprocess.validation_fraction",
        )  # fmt: skip
        train, validation = rest[kept], rest[held_out]
    return {"train": train, "validation": validation, "test": test}


def hold_out(
    labels: Numbers,
    units: Numbers,
    classes: list[str],
    fraction: float,
    split: str,
    seed: int,
    key: str,
    least_kept: int = 1,
) -> tuple[Indices, Indices]:
    """The indices of the kept and of the held-out images, each in rising order.

    tail holds out the last ones, stratified the same share of each class by chance, random and
    grouped any. Images of one unit stay together: what is shared out is units, by their first
    image, so that with units of several images the share of images is not exact.
    stratified holds out a unit of each class at least and keeps `least_kept`, if it has as many.
    Raises UserError if either part would be empty.
    """
    _, first, unit_of = np.unique(units, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # units in the order of their first images
    unit_of, first = rank[unit_of], np.sort(first)
    count = len(first)
    held_out = round(count * fraction)
    if not 0 < held_out < count:
        what = "images" if count == len(labels) else "groups of images"
        raise UserError(
            f"{key}: {fraction} of {count} {what} leaves {count - held_out} to keep and {held_out} "
            "to hold out; each needs one at least"
        )
    chosen = np.zeros(count, bool)
    if split == "tail":
        chosen[-held_out:] = True
    elif split == "stratified":
        chosen[draw_stratified(labels[first], held_out, seed)] = True
        pairs = pair_units(unit_of, labels)
        moved = move_small_classes(chosen, pairs, len(classes), least_kept, shuffle(count, seed))
        if moved:
            print(
                f"{key}: the draw left too few images of {name_classes(moved, classes)} on one "
                "side: moved some, so that both sides have each class"
            )
    else:
        chosen[shuffle(count, seed)[:held_out]] = True
    return np.flatnonzero(~chosen[unit_of]), np.flatnonzero(chosen[unit_of])


def shuffle(count: int, seed: int) -> Indices:
    """The numbers below `count` in random order, the same with every version of NumPy.

    NumPy promises that of RandomState alone (NEP 19): no update of it may move an image to the
    other side.
    """
    return np.random.RandomState(seed).permutation(count)


def draw_stratified(labels: Numbers, held_out: int, seed: int) -> Indices:
    """Places of `labels` (count,) to hold out: of each class its share, rounded up or down.

    Systematic sampling: shuffled, sorted by class, then one at every count / held_out places.
    scikit-learn's split shares out as well, but importing it takes a second.
    """
    order = shuffle(len(labels), seed)
    order = order[np.argsort(labels[order], kind="stable")]
    return order[(2 * np.arange(held_out) + 1) * len(labels) // (2 * held_out)]


def pair_units(unit_of: Numbers, labels: Numbers) -> tuple[Numbers, Numbers]:
    """Units and classes (pairs,): a pair for each class that a unit has an image of."""
    number = int(labels.max()) + 1
    units, classes = np.divmod(np.unique(unit_of * number + labels), number)
    return units, classes


def move_small_classes(
    chosen: npt.NDArray[np.bool_],
    pairs: tuple[Numbers, Numbers],
    classes: int,
    least_kept: int,
    order: Indices,
) -> list[int]:
    """Complete the choice (units,) in place; the classes of which units were moved.

    A class of units enough gets one of them held out and `least_kept` kept. As few units move as
    possible, the first of `order`; a unit stays if a class would lack it where it is.
    """
    units, labels = pairs
    place = np.argsort(order)
    least = {True: 1, False: least_kept}
    has_enough = np.bincount(labels, minlength=classes) >= sum(least.values())
    moved = []

    def count(side: bool) -> Numbers:
        return np.bincount(labels[chosen[units] == side], minlength=classes)

    for side, other in ((True, False), (False, True)):
        for number in np.flatnonzero(has_enough & (count(side) < least[side])).tolist():
            while count(side)[number] < least[side]:
                needed = has_enough & (count(other) <= least[other])
                stays = np.isin(units, units[needed[labels]]) | (chosen[units] == side)
                movable = units[(labels == number) & ~stays]
                if not len(movable):
                    break  # all of them belong together with the last image of another class
                chosen[movable[np.argmin(place[movable])]] = side
                moved.append(number)
    return sorted(set(moved))


def name_classes(numbers: Iterable[int], classes: list[str]) -> str:
    """Names of classes for a message: the first few, and how many more there are."""
    names = [classes[number] for number in numbers]
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def join_units(contents: Numbers, groups: Numbers | None) -> Numbers:
    """A number (count,) for each image, the same for all that are linked by content or group."""
    if groups is None:
        return contents
    from scipy.sparse import coo_array  # noqa: PLC0415  # for sources with groups alone
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    count = int(contents.max()) + 1
    size = count + int(groups.max()) + 1
    links = coo_array((np.ones(len(contents)), (contents, count + groups)), (size, size))
    _, component = connected_components(links, directed=False)
    units: Numbers = component[contents].astype(np.int64)
    return units


def spread_splits(splits: npt.NDArray[np.uint8], units: Numbers) -> npt.NDArray[np.uint8]:
    """The splits (count,), where images of no split have that of those they belong together with.

    Raises UserError if the source's own splits part images that belong together.
    """
    own = splits != NO_SPLIT
    if not own.any():
        return splits
    last = np.zeros(int(units.max()) + 1, np.uint8)
    first = np.full(len(last), np.iinfo(np.uint8).max, np.uint8)
    np.maximum.at(last, units[own], splits[own])
    np.minimum.at(first, units[own], splits[own])
    parted = int(((last > 0) & (first < last)).sum())
    if parted:
        raise UserError(
            f"the source's own splits part {parted} groups of images, so that one lies on both "
            'sides: correct the splits, or set splits.group to "" in dataset.yaml'
        )
    return np.where(own, splits, last[units])
