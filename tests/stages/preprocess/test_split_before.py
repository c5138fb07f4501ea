"""Splits that no class was too small for are the same as before small classes had images moved.

The functions at the top are the draw of before, unaltered but for messages; what they refuse may be
split today.
"""

from itertools import product

import numpy as np
import pytest
from conftest import make_section, tiny_images
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.preprocess.absent_classes import refuse_absent_classes
from stages.preprocess.source import NO_SPLIT, TEST, TRAIN, VALIDATION
from stages.preprocess.split import TEST_SEED, Given, shuffle, split_images
from stages.run.params import Preprocess, Splits
from stages.shared.errors import UserError


def split_before(labels, own, units, classes, splits, held):
    everything = np.arange(len(labels))
    test, rest = everything[own == TEST], everything[own != TEST]
    if not len(test):
        free = everything[own != VALIDATION]
        kept, held_out = hold_out_before(
            labels[free], units[free], classes, splits.test_fraction, splits.test_split, TEST_SEED
        )
        test = free[held_out]
        rest = np.sort(np.concatenate([free[kept], everything[own == VALIDATION]]))
    validation = rest[own[rest] == VALIDATION]
    if len(validation):
        train = rest[own[rest] != VALIDATION]
    else:
        kept, held_out = hold_out_before(
            labels[rest], units[rest], classes, held.validation_fraction, held.split,
            held.split_seed,
        )  # fmt: skip
        train, validation = rest[kept], rest[held_out]
    parts = {"train": train, "validation": validation, "test": test}
    for rows in parts.values():
        if set(labels[rows].tolist()) != set(range(classes)):
            raise UserError("a class is absent")
    return parts


def hold_out_before(labels, units, classes, fraction, split, seed):
    _, first, unit_of = np.unique(units, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    unit_of, first = rank[unit_of], np.sort(first)
    count = len(first)
    held_out = round(count * fraction)
    if not 0 < held_out < count:
        raise UserError("a side would be empty")
    chosen = np.zeros(count, bool)
    if split == "tail":
        chosen[-held_out:] = True
    elif split == "stratified":
        refuse_small_classes_before(labels[first], held_out, classes)
        chosen[draw_stratified_before(labels[first], held_out, seed)] = True
    else:
        chosen[shuffle(count, seed)[:held_out]] = True
    return np.flatnonzero(~chosen[unit_of]), np.flatnonzero(chosen[unit_of])


def draw_stratified_before(labels, held_out, seed):
    order = shuffle(len(labels), seed)
    order = order[np.argsort(labels[order], kind="stable")]
    return order[(2 * np.arange(held_out) + 1) * len(labels) // (2 * held_out)]


def refuse_small_classes_before(labels, held_out, classes):
    counts = np.bincount(labels, minlength=classes)
    if (counts == 1).any():
        raise UserError("a class of one")
    if min(held_out, len(labels) - held_out) < (counts > 0).sum():
        raise UserError("fewer on a side than classes")


def split_now(labels, own, units, classes, splits, held):
    names = [str(number) for number in range(classes)]
    parts = split_images(Given(labels, own, units), names, splits, held)
    found = {name: labels[rows] for name, rows in parts.items()}
    refuse_absent_classes(found, names, Given(labels, own, units), parts, splits, held)
    return parts


def sections(own, test_split, split, fraction, seed):
    is_grouped = "grouped" in (split, test_split)
    return (
        make_section(
            Splits,
            test_fraction=0.0 if TEST in own else fraction,
            test_split=test_split,
            group="g" if is_grouped else "",
        ),
        make_section(Preprocess, validation_fraction=fraction, split=split, split_seed=seed),
    )


def compare(labels, own, units, classes, splits, held) -> bool:
    """Whether the split of before accepts it; then today's has the same rows."""
    try:
        before = split_before(labels, own, units, classes, splits, held)
    except UserError:
        return False
    now = split_now(labels, own, units, classes, splits, held)
    assert now.keys() == before.keys()
    for name, rows in before.items():
        np.testing.assert_array_equal(now[name], rows)
    return True


KINDS = ["tail", "random", "stratified", "grouped"]
OWN = [[NO_SPLIT], [TRAIN, TEST], [TRAIN, VALIDATION], [TRAIN, VALIDATION, TEST], [NO_SPLIT, TEST]]


@given(data=st.data())
@settings(deadline=None, max_examples=1000)
def test_what_was_split_before_is_split_alike(data):
    """Labels and groups at random, with classes of one image and groups of several classes."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    classes = data.draw(st.integers(2, 6))
    count = data.draw(st.integers(classes, 120))
    weights = random.dirichlet(np.full(classes, data.draw(st.sampled_from([0.3, 1.0, 10.0]))))
    labels = random.choice(classes, count, p=weights)
    per_unit = data.draw(st.sampled_from([1.0, 1.1, 2.0, 6.0]))
    units = random.integers(0, max(1, int(count / per_unit)), count)
    if per_unit == 1.0:
        units = random.permutation(count)
    own = random.choice(data.draw(st.sampled_from(OWN)), units.max() + 1)[units].astype(np.uint8)
    kinds = data.draw(st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)))
    fraction = data.draw(st.sampled_from([0.05, 0.1, 0.2, 0.34, 0.5, 0.8]))
    compare(labels, own, units, classes, *sections(own, *kinds, fraction, seed))


MNIST = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # training images by class


def shuffled(*counts: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


# Labels, and where the source splits images itself how many it holds out for the test.
DATA_SETS = {
    "tiny": (np.concatenate([tiny_images(60, 1)[1], tiny_images(30, 2)[1]]).astype(int), 30),
    "tiny without test images": (tiny_images(90, 1)[1].astype(int), 0),
    "a folder in colour": (np.repeat([0, 1, 2], 20), 0),
    "few images in colour": (np.repeat([0, 1, 2], 5), 0),
    "more images in colour": (np.repeat([0, 1, 2], 25), 0),
    "noise": (np.arange(240) % 3, 0),
    "uneven": (np.repeat([0, 1, 2, 3], [300, 80, 30, 12]), 0),
    "MNIST's classes": (np.concatenate([shuffled(*MNIST), shuffled(*[1000] * 10)]), 10_000),
    "Fashion-MNIST's classes": (shuffled(*[7000] * 10), 10_000),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_tests_data_sets_are_split_as_before(name):
    labels, held_out = DATA_SETS[name]
    own = np.full(len(labels), TRAIN if held_out else NO_SPLIT, np.uint8)
    own[len(own) - held_out :] = TEST
    classes, units = int(labels.max()) + 1, np.arange(len(labels))
    accepted = [
        compare(labels, own, units, classes, *sections(own, kind, kind, fraction, seed))
        for kind, fraction, seed in product(["stratified", "random", "tail"], [0.2, 0.34], [0, 4])
    ]
    assert any(accepted[:4])  # else stratified compares nothing
