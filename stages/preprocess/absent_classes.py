"""Refuses a split that leaves a class out, with the true cause and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stages.preprocess.source import TEST, VALIDATION, Numbers
from stages.preprocess.split import MOST_NAMED, Given, Indices, name_classes, pair_units
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Preprocess, Splits


def refuse_absent_classes(
    labels: dict[str, Numbers],
    classes: list[str],
    given: Given,
    parts: dict[str, Indices],
    splits: Splits,
    held: Preprocess,
) -> None:
    """Raise UserError if a class has no image to train on, to validate by, or to test by.

    `labels` are those that each split has in the end; `parts` are the places in `given` that the
    draw gave to each split.
    """
    in_all = np.bincount(np.concatenate(list(labels.values())), minlength=len(classes))
    for part, numbers in labels.items():
        absent = np.flatnonzero(np.bincount(numbers, minlength=len(classes)) == 0)
        if not len(absent):
            continue
        few = ", ".join(f"{classes[each]} ({in_all[each]} in all)" for each in absent[:MOST_NAMED])
        causes = explain_absence(part, absent, classes, given, parts, splits, held)
        raise UserError(
            f"no {part} image of {len(absent)} of {len(classes)} classes: {few}. Each class needs "
            f"one in each split. {'. '.join(causes)}"
        )


def explain_absence(
    part: str,
    absent: Indices,
    classes: list[str],
    given: Given,
    parts: dict[str, Indices],
    splits: Splits,
    held: Preprocess,
) -> list[str]:
    """Why classes are absent from a part and what to do, a sentence for each cause."""
    owned = {"validation": (given.own == VALIDATION).any(), "test": (given.own == TEST).any()}
    sharing = [each for each in ("train", "validation", "test") if not owned.get(each)]
    if part not in sharing or len(sharing) == 1:
        return [f"The source splits its images itself: add {part} images of these classes there"]
    shared = (given.own != TEST) & (given.own != VALIDATION)
    counts = count_units(given, shared, len(classes))
    small = absent[counts[absent] < len(sharing)]
    causes = [describe_small(small, counts, classes, sharing)] if len(small) else []
    shared[parts["test"]] = False
    left = count_units(given, shared, len(classes))
    by_step: dict[str, list[int]] = {}
    for number in absent[counts[absent] >= len(sharing)].tolist():
        is_taken = "test" in sharing and left[number] < len(sharing) - 1
        step = "test" if part == "test" or is_taken else "validation"
        by_step.setdefault(step if step in sharing else "", []).append(number)
    kinds = {"test": ("splits.test_split of dataset.yaml", splits.test_split),
             "validation": ("preprocess.split of params.yaml", held.split)}  # fmt: skip
    for step, numbers in by_step.items():
        causes.append(describe_step(*kinds.get(step, ("", "stratified")), numbers, classes))
    return causes


def count_units(given: Given, shared: Numbers, classes: int) -> Numbers:
    """How many units of the shared images have an image of each class, by the labels as given."""
    if not shared.any():
        return np.zeros(classes, np.int64)
    pairs = pair_units(given.units[shared], given.labels[shared])
    return np.bincount(pairs[1], minlength=classes)


def describe_small(small: Indices, counts: Numbers, classes: list[str], sharing: list[str]) -> str:
    """That classes have too few units for the parts that share them."""
    has = ", ".join(f"{classes[number]} has {counts[number]}" for number in small[:MOST_NAMED])
    return (
        f"To lie in {', '.join(sharing[:-1])} and {sharing[-1]}, a class needs {len(sharing)} "
        f"images (equal ones, and those of one group, count as one): {has}. Add images, or remove "
        "the class"
    )


def describe_step(key: str, kind: str, numbers: list[int], classes: list[str]) -> str:
    """That a split left classes out that have images enough for it."""
    names = name_classes(numbers, classes)
    if kind == "stratified":
        return (
            f"{names}: images are dropped by corrections, left out as bad, or in groups with other "
            "classes: add images"
        )
    return f"{key} is {kind}, which left out {names}: set it to stratified"
