"""Which training images each kind of split holds out."""

import numpy as np
import pytest
from conftest import make_section, tiny_images
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.preprocess.absent_classes import refuse_absent_classes
from stages.preprocess.source import NO_SPLIT, TEST, TRAIN, VALIDATION
from stages.preprocess.split import (
    Given,
    draw_stratified,
    hold_out,
    join_units,
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


def make_case(
    labels, own=None, units=None, test_split="stratified", split="stratified", fraction=0.2, seed=0
):
    """The arguments of split_images, for classes a, b, ..."""
    labels = np.array(labels)
    units = np.arange(len(labels)) if units is None else np.array(units)
    own = np.array([NO_SPLIT] * len(labels) if own is None else own, np.uint8)
    given = Given(labels, spread_splits(own, units), units)
    splits = make_section(
        Splits,
        test_fraction=0.0 if TEST in own else fraction,
        test_split=test_split,
        group="g" if "grouped" in (split, test_split) else "",
    )
    held = make_section(Preprocess, validation_fraction=fraction, split=split, split_seed=seed)
    return given, list("abcdefghij")[: labels.max() + 1], splits, held


def draw_parts(labels, **options):
    """The rows of each split, as preprocess shares them out or refuses to."""
    given, classes, splits, held = case = make_case(labels, **options)
    parts = split_images(*case)
    found = {name: given.labels[rows] for name, rows in parts.items()}
    refuse_absent_classes(found, classes, given, parts, splits, held)
    return parts


def refusal_of(labels, **options) -> str:
    with pytest.raises(UserError) as caught:
        draw_parts(labels, **options)
    return str(caught.value)


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_three_images_lies_in_all_three_splits(fraction, seed):
    labels = np.repeat([0, 1, 2], [200, 3, 40])
    parts = draw_parts(labels, fraction=fraction, seed=seed)
    assert [np.sum(labels[rows] == 1) for rows in parts.values()] == [1, 1, 1]


def test_classes_of_three_images_each_lie_in_all_three_splits():
    parts = draw_parts(np.repeat(np.arange(10), 3))
    assert [len(rows) for rows in parts.values()] == [10, 10, 10]


@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=10),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_no_class_of_three_images_is_refused(counts, share, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    try:
        draw_parts(labels, fraction=share, seed=seed)
    except UserError as refused:  # of a fraction that leaves a side empty
        assert "each needs one at least" in str(refused)  # noqa: PT017


@pytest.mark.parametrize("own", [TEST, VALIDATION])
def test_beside_a_split_of_the_source_a_class_of_two_images_is_enough(own):
    labels = np.concatenate([np.repeat([0, 1], [60, 2]), [0, 1]])
    parts = draw_parts(labels, own=[TRAIN] * 62 + [own] * 2)
    assert [np.sum(labels[rows] == 1) for rows in parts.values()] == [1, 1, 1]


def test_as_few_images_move_as_possible(capsys):
    labels = np.repeat([0, 1, 2], [200, 3, 4])
    units, order = np.arange(207), shuffle(207, 0)
    drawn = set(draw_stratified(labels, 10, 0).tolist())
    assert not drawn & set(range(200, 207))
    kept, held_out = hold_out(labels, units, ["a", "b", "c"], 10 / 207, "stratified", 0, KEY)
    first = [next(row for row in order if labels[row] == number) for number in (1, 2)]
    assert set(held_out.tolist()) == drawn | set(first)
    assert np.array_equal(np.sort(np.concatenate([kept, held_out])), units)
    assert capsys.readouterr().out == (
        f"{KEY}: the draw left too few images of b, c on one side: moved some, so that both sides "
        "have each class\n"
    )


def test_a_class_that_the_draw_holds_out_whole_gets_an_image_back():
    labels = np.repeat([0, 1], [100, 3])
    kept, held_out = hold_out(
        labels, np.arange(103), ["a", "b"], 0.95, "stratified", 0, KEY, least_kept=2
    )
    assert [np.sum(labels[rows] == 1) for rows in (kept, held_out)] == [2, 1]


def test_groups_of_several_classes_move_if_no_other_class_would_miss_them():
    units = np.repeat(np.arange(40), 2)
    labels = np.zeros(80, int)
    labels[[1, 3, 5]] = 1  # each beside an image of class a
    parts = draw_parts(labels, units=units)
    assert [np.sum(labels[rows] == 1) for rows in parts.values()] == [1, 1, 1]
    # The test lacks b. The first group by chance that has it has c as well, and stays: of c, train
    # and validation have no group to spare.
    labels = np.array([0, 1, 0, 0, 2, 1, 0, 1, 2, 2])
    parts = draw_parts(labels, units=[0, 1, 2, 2, 3, 4, 5, 6, 6, 7], fraction=0.25)
    assert all(set(labels[rows]) == {0, 1, 2} for rows in parts.values())


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (
            np.repeat([0, 1], [60, 2]), {},
            ("1 of 2 classes: b (2 in all). Each class needs one in each split. To lie in train, "
            "validation and test, a class needs 3 images (equal ones, and those of one group, "
            "count as one): b has 2. Add images, or remove the class"),
        ),
        (
            np.repeat([0, 1, 2], [60, 6, 1]), {"units": [*range(60), *[60] * 3, *[61] * 3, 62]},
            ("a class needs 3 images (equal ones, and those of one group, count as one): b has 2, "
            "c has 1. Add images"),
        ),
        (
            np.array([0] * 60 + [1] + [0, 1]), {"own": [TRAIN] * 61 + [TEST] * 2},
            ("To lie in train and validation, a class needs 2 images (equal ones, and those of one "
            "group, count as one): b has 1. Add images, or remove the class"),
        ),
        (
            np.repeat([0, 1], [60, 3]), {"split": "tail", "test_split": "random"},
            ("no train image of 1 of 2 classes: b (3 in all). Each class needs one in each split. "
            "splits.test_split of dataset.yaml is random, which left out b: set it to stratified"),
        ),
        (
            np.repeat([0, 1], [9, 60]), {"split": "tail"},
            ("no validation image of 1 of 2 classes: a (9 in all). Each class needs one in each "
            "split. preprocess.split of params.yaml is tail, which left out a: set it to "
            "stratified"),
        ),
        (  # two of three go to the test: that no image is left for both others is its doing
            np.array([1, *[0] * 57, 1, 1]), {"test_split": "tail"},
            "splits.test_split of dataset.yaml is tail, which left out b: set it to stratified",
        ),
        (
            np.array([0, 1] * 30 + [0]), {"own": [TRAIN] * 60 + [TEST]},
            ("no test image of 1 of 2 classes: b (30 in all). Each class needs one in each split. "
            "The source splits its images itself: add test images of these classes there"),
        ),
        (
            np.array([0, 0, 1, 0, 1]), {"own": [TRAIN, TRAIN, VALIDATION, TEST, TEST]},
            ("no train image of 1 of 2 classes: b (2 in all). Each class needs one in each split. "
            "The source splits its images itself: add train images of these classes there"),
        ),
        (  # whichever group moves, another class misses it
            np.array([*[0] * 30, *[1, 2] * 3]), {"units": [*range(30), *[30] * 2, *[31] * 4]},
            "a class needs 3 images",
        ),
    ],
)  # fmt: skip
def test_a_refusal_names_the_cause_and_what_is_not_so_already(labels, options, message):
    assert message in refusal_of(labels, **options)


def test_a_class_whose_images_are_dropped_is_said_to_be_so():
    given, classes, splits, held = case = make_case(np.repeat([0, 1], [60, 3]))
    parts = split_images(*case)
    found = {name: given.labels[rows] for name, rows in parts.items()}
    found["validation"] = found["validation"][found["validation"] == 0]
    with pytest.raises(UserError, match="b: images are dropped by corrections, left out as bad"):
        refuse_absent_classes(found, classes, given, parts, splits, held)


# Images that belong together


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
        parts = split_images(*make_case(labels, own, units, test_split, split, fraction=0.3))
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
    parts = draw_parts(np.arange(12) % 3, own=own)
    assert [rows.tolist() for rows in parts.values()] == [[*range(6)], [6, 7, 8], [9, 10, 11]]


def test_a_source_with_validation_images_alone_has_its_test_images_from_the_others():
    own = np.array([TRAIN] * 9 + [VALIDATION] * 3, np.uint8)
    parts = draw_parts(np.arange(12) % 3, own=own, fraction=0.4)
    assert parts["validation"].tolist() == [9, 10, 11]
    assert len(parts["test"]) == 4
    assert set(parts["test"]) < set(range(9))


def test_a_source_without_test_images_needs_a_fraction_and_one_with_them_none():
    given, classes, splits, held = make_case(np.arange(12) % 3, test_split="tail", split="tail")
    splits.test_fraction = 0.0
    with pytest.raises(UserError, match="the source has no test images: say"):
        split_images(given, classes, splits, held)
    given.own[:3] = TEST
    splits.test_fraction = 0.2
    with pytest.raises(UserError, match=r"is 0\.2, but the source has 3 test images of its own"):
        split_images(given, classes, splits, held)


def test_the_test_images_do_not_depend_on_params_yaml():
    cases = [
        make_case(np.arange(60) % 3, test_split="random", split="random", seed=seed)
        for seed in (0, 1)
    ]
    assert len({tuple(split_images(*case)["test"]) for case in cases}) == 1
