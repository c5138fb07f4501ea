"""Which training images each kind of split holds out."""

import numpy as np
import pytest
from conftest import make_section, tiny_images
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.preprocess.source import NO_SPLIT, TEST, TRAIN, VALIDATION
from stages.preprocess.split import (
    draw_stratified,
    hold_out,
    join_units,
    refuse_absent_classes,
    shuffle,
    split_images,
    spread_splits,
)
from stages.run.params import Preprocess, Splits
from stages.shared.errors import UserError

LABELS = tiny_images(60, seed=1)[1]
SPLITS = ["tail", "stratified", "random"]
KEY = "preprocess.validation_fraction"

Split = tuple[np.ndarray, np.ndarray]


def split_of(labels: np.ndarray, split: str, fraction: float = 0.2, seed: int = 0) -> Split:
    units = np.arange(len(labels))
    return hold_out(labels, units, ["a", "b", "c"], fraction, split, seed, KEY)


def same(one: Split, other: Split) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("fraction", "held_out"), [(0.2, 12), (0.5, 30), (0.05, 3), (0.949, 57), (0.21, 13)]
)
def test_a_split_has_every_image_once_in_rising_order(split, fraction, held_out):
    train, validation = split_of(LABELS, split, fraction)
    assert (len(train), len(validation)) == (60 - held_out, held_out)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), np.arange(60))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_tail_takes_the_last_ones_whatever_the_seed():
    for seed in (0, 1):
        train, validation = split_of(LABELS, "tail", seed=seed)
        assert train.tolist() == list(range(48))
        assert validation.tolist() == list(range(48, 60))


@pytest.mark.parametrize("split", ["stratified", "random"])
def test_the_seed_decides_what_is_held_out(split):
    first, again, other = (split_of(LABELS, split, seed=seed) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)
    assert not same(first, split_of(LABELS, "tail"))


@pytest.mark.parametrize("split", ["stratified", "random"])
def test_the_split_does_not_depend_on_global_random_states(split):
    before = split_of(LABELS, split)
    np.random.seed(99)  # noqa: NPY002  # the state that it must not read
    assert same(before, split_of(LABELS, split))


def test_stratified_keeps_the_share_of_every_class():
    labels = np.repeat(np.array([0, 1, 2], np.uint8), [100, 50, 10])
    for seed in range(5):
        train, validation = split_of(labels, "stratified", seed=seed)
        assert np.bincount(labels[train]).tolist() == [80, 40, 8]
        assert np.bincount(labels[validation]).tolist() == [20, 10, 2]


@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_stratified_draw_has_of_each_class_its_share_rounded_up_or_down(labels, share, seed):
    held_out = min(max(round(len(labels) * share), 1), len(labels) - 1)
    drawn = draw_stratified(np.array(labels), held_out, seed)
    assert len(set(drawn.tolist())) == held_out
    counts, found = np.bincount(labels), np.bincount(np.array(labels)[drawn], minlength=5)
    exact = counts * held_out / len(labels)
    assert (np.abs(found[: len(counts)] - exact) < 1).all()


def test_the_order_of_a_seed_is_the_same_for_ever():
    assert shuffle(10, 0).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    assert draw_stratified(np.array([0, 1] * 5), 4, 0).tolist() == [8, 6, 1, 3]


def test_random_does_not_keep_shares():
    labels = np.repeat(np.array([0, 1, 2], np.uint8), [100, 50, 10])
    counts = {
        tuple(np.bincount(labels[split_of(labels, "random", seed=seed)[1]], minlength=3))
        for seed in range(5)
    }
    assert len(counts) > 1


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("fraction", "parts"),
    [(0.008, "leaves 60 to keep and 0 to hold out"), (0.999, "leaves 0 to keep and 60 to")],
)
def test_a_fraction_that_leaves_a_part_empty_is_refused(split, fraction, parts):
    with pytest.raises(UserError, match=rf"preprocess.validation_fraction: {fraction}.*{parts}"):
        split_of(LABELS, split, fraction)


@pytest.mark.parametrize(
    ("labels", "fraction", "reason"),
    [
        ([0, 0, 0, 0, 0, 1], 0.5, "1 of 3 classes, which have one image .* each: b"),
        ([0, 1, 2] * 20, 0.03, "3 classes, as one side would have 2 of 60"),
        ([0, 1, 2] * 20, 0.97, "3 classes, as one side would have 2 of 60"),
    ],
    ids=["a class of one", "fewer held out than classes", "fewer trained than classes"],
)
def test_a_class_too_small_for_stratified_is_refused(labels, fraction, reason):
    with pytest.raises(UserError, match=rf"{KEY}: stratified cannot share out {reason}"):
        split_of(np.array(labels, np.uint8), "stratified", fraction)


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ([0, 1, 2, 3], [4, 5], "no train image of 1 of 3 classes: c (2 in all)."),
        ([0, 1], [2, 3, 4, 5], "no train image of 2 of 3 classes: b (2 in all), c (2 in all)."),
        ([0, 2, 4, 5], [1, 3], "no validation image of 1 of 3 classes: c (2 in all)."),
    ],
)
def test_a_class_that_the_split_leaves_out_is_named(train, validation, message):
    labels = np.array([0, 0, 1, 1, 2, 2], np.uint8)
    parts = {"train": labels[train], "validation": labels[validation]}
    with pytest.raises(UserError) as caught:
        refuse_absent_classes(parts, ["a", "b", "c"])
    assert message in str(caught.value)
    assert "set preprocess.split (for the test images splits.test_split) to stratified" in str(
        caught.value
    )


def test_a_split_that_has_every_class_on_both_sides_is_accepted():
    parts = {"train": np.array([0, 1]), "test": np.array([0, 1])}
    refuse_absent_classes(parts, ["a", "b"])


# Images that belong together


def split_both(labels, own, units, test_split="stratified", split="stratified", fraction=0.2):
    splits = make_section(
        Splits,
        test_fraction=0.0 if TEST in own else fraction,
        test_split=test_split,
        group="g" if "grouped" in (split, test_split) else "",
    )
    held = make_section(Preprocess, validation_fraction=fraction, split=split, split_seed=0)
    return split_images(labels, own, units, ["a", "b", "c"], splits, held)


KINDS = st.sampled_from(["tail", "random", "stratified", "grouped"])


@given(
    pairs=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), min_size=12, max_size=80),
    seed=st.integers(0, 99), test_split=KINDS, split=KINDS, own_test=st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_images_that_belong_together_never_lie_on_both_sides(
    pairs, seed, test_split, split, own_test
):
    contents, groups = np.array(pairs).T
    labels = np.random.default_rng(seed).integers(0, 3, len(pairs))
    units = join_units(contents, groups)
    own = np.zeros(len(pairs), np.uint8)
    own[0] = TEST if own_test else NO_SPLIT
    try:
        parts = split_both(
            labels, spread_splits(own, units), units, test_split, split, fraction=0.3
        )
    except UserError:
        return
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(pairs)))
    for numbers in (contents, groups):
        sides = [set(numbers[rows].tolist()) for rows in parts.values()]
        assert sum(map(len, sides)) == len(set().union(*sides))


def test_units_are_linked_by_content_and_by_group():
    units = join_units(np.array([0, 0, 1, 2, 3]), np.array([5, 6, 6, 7, 8]))
    assert units[0] == units[1] == units[2]
    assert len({units[0], units[3], units[4]}) == 3
    assert join_units(np.array([4, 4, 2]), None).tolist() == [4, 4, 2]


def test_an_image_of_no_split_goes_with_those_it_belongs_to():
    splits = np.array([NO_SPLIT, TEST, NO_SPLIT, TRAIN], np.uint8)
    found = spread_splits(splits, np.array([0, 0, 1, 2]))
    assert found.tolist() == [TEST, TEST, NO_SPLIT, TRAIN]


def test_splits_of_the_source_that_part_a_group_are_refused():
    splits = np.array([TRAIN, TEST, NO_SPLIT, TRAIN], np.uint8)
    with pytest.raises(UserError, match="part 1 groups of images"):
        spread_splits(splits, np.array([0, 0, 1, 2]))


def test_the_sources_own_splits_are_kept():
    own = np.array([TRAIN] * 6 + [VALIDATION] * 3 + [TEST] * 3, np.uint8)
    parts = split_both(np.arange(12) % 3, own, np.arange(12))
    assert [rows.tolist() for rows in parts.values()] == [[*range(6)], [6, 7, 8], [9, 10, 11]]


def test_a_source_with_validation_images_alone_has_its_test_images_from_the_others():
    own = np.array([TRAIN] * 9 + [VALIDATION] * 3, np.uint8)
    parts = split_both(np.arange(12) % 3, own, np.arange(12), fraction=0.4)
    assert parts["validation"].tolist() == [9, 10, 11]
    assert len(parts["test"]) == 4
    assert set(parts["test"]) < set(range(9))


def test_a_source_without_test_images_needs_a_fraction_and_one_with_them_none():
    labels, units = np.arange(12) % 3, np.arange(12)
    own = np.zeros(12, np.uint8)
    splits = make_section(Splits, test_fraction=0.0, test_split="tail", group="")
    held = make_section(Preprocess, validation_fraction=0.2, split="tail", split_seed=0)
    with pytest.raises(UserError, match="the source has no test images: say"):
        split_images(labels, own, units, ["a", "b", "c"], splits, held)
    own[:3] = TEST
    splits.test_fraction = 0.2
    with pytest.raises(UserError, match=r"is 0\.2, but the source has 3 test images of its own"):
        split_images(labels, own, units, ["a", "b", "c"], splits, held)


def test_the_test_images_do_not_depend_on_params_yaml():
    labels, units = np.arange(60) % 3, np.arange(60)
    own = np.zeros(60, np.uint8)
    splits = make_section(Splits, test_fraction=0.2, test_split="random", group="")
    found = set()
    for seed in (0, 1):
        held = make_section(Preprocess, validation_fraction=0.2, split="random", split_seed=seed)
        parts = split_images(labels, own, units, ["a", "b", "c"], splits, held)
        found.add(tuple(parts["test"]))
    assert len(found) == 1
