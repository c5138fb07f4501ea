"""Which training images each kind of split holds out."""

import numpy as np
import pytest
from conftest import tiny_images

from stages.preprocess.split import refuse_absent_classes, split_indices
from stages.shared.errors import UserError

LABELS = tiny_images(60, seed=1)[1]
SPLITS = ["tail", "stratified", "random"]

Split = tuple[np.ndarray, np.ndarray]


def split_of(labels: np.ndarray, split: str, fraction: float = 0.2, seed: int = 0) -> Split:
    return split_indices(labels, validation_fraction=fraction, split=split, split_seed=seed)


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
    [(0.008, "leaves 60 to train and 0 to validate"), (0.999, "leaves 0 to train and 60 to")],
)
def test_a_fraction_that_leaves_a_part_empty_is_refused(split, fraction, parts):
    with pytest.raises(UserError, match=rf"preprocess.validation_fraction: {fraction}.*{parts}"):
        split_of(LABELS, split, fraction)


@pytest.mark.parametrize(
    ("labels", "fraction"),
    [([0, 0, 0, 0, 0, 1], 0.5), ([0, 1, 2] * 20, 0.03), ([0, 1, 2] * 20, 0.97)],
    ids=["a class of one", "fewer held out than classes", "fewer trained than classes"],
)
def test_a_class_too_small_for_stratified_is_refused(labels, fraction):
    with pytest.raises(UserError, match=r"preprocess\.split: stratified cannot share out"):
        split_of(np.array(labels, np.uint8), "stratified", fraction)


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ([0, 1, 2, 3], [4, 5], "no image to train on of 1 of 3 classes: c."),
        ([0, 1], [2, 3, 4, 5], "no image to train on of 2 of 3 classes: b, c."),
        ([0, 2, 4, 5], [1, 3], "no image to validate by of 1 of 3 classes: c."),
    ],
)
def test_a_class_that_the_split_leaves_out_is_named(train, validation, message):
    labels = np.array([0, 0, 1, 1, 2, 2], np.uint8)
    with pytest.raises(UserError) as caught:
        refuse_absent_classes(labels, np.array(train), np.array(validation), ["a", "b", "c"])
    assert message in str(caught.value)
    assert "preprocess.split: stratified" in str(caught.value)


def test_a_split_that_has_every_class_on_both_sides_is_accepted():
    labels = np.array([0, 1, 0, 1], np.uint8)
    refuse_absent_classes(labels, np.array([0, 1]), np.array([2, 3]), ["a", "b"])
