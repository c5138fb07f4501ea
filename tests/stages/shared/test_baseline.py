"""The largest class as a baseline: the two tests against SciPy, brute force and chance."""

import itertools
import time

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from stages.shared.baseline import (
    LEVEL,
    accuracy_p_value,
    balanced_accuracy_p_value,
    baseline_accuracy,
    describe_no_better,
    heads_or_more,
    largest_class,
    recall_weights,
)

DATA_SETS = 2_000  # drawn by chance
FEW = 199  # permutations: exact at LEVEL as well, and quick


def certain(predicted: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities (images, classes) of a network that is sure of its predictions."""
    return np.eye(classes, dtype=np.float32)[predicted]


def describe(predicted: list[int], labels: list[int], training: list[int], classes: int) -> str:
    probabilities = certain(np.array(predicted), classes)
    return describe_no_better(
        probabilities, np.array(labels, np.uint8), np.array(training, np.uint8), "validation"
    )


# The baseline


def test_the_baseline_answers_the_largest_class_of_the_training_images() -> None:
    """Not of those that it is scored on."""
    training = np.array([2, 2, 1], np.uint8)
    assert largest_class(training) == 2
    assert baseline_accuracy(np.array([1, 1, 2], np.uint8), training) == 0.3333
    assert baseline_accuracy(np.array([0, 1, 1], np.uint8), training) == 0


def test_of_equally_large_classes_it_is_the_first() -> None:
    assert largest_class(np.array([3, 1, 3, 1], np.uint16)) == 1


def test_weights_of_right_images_add_up_to_the_balanced_accuracy() -> None:
    random = np.random.default_rng(0)
    labels = random.choice(4, 100, p=[0.6, 0.0, 0.3, 0.1])  # class 1 has no image
    predicted = random.choice([0, 2, 3], 100)
    expected = balanced_accuracy_score(labels, predicted)
    assert recall_weights(labels)[predicted == labels].sum() == pytest.approx(expected)


# Accuracy


@pytest.mark.parametrize("tosses", [1, 2, 5, 6, 40, 999, 20_000])
def test_the_tail_is_that_of_the_exact_binomial_test(tosses: int) -> None:
    middle = tosses // 2
    for heads in {0, 1, middle, min(middle + 3, tosses), tosses}:
        expected = binomtest(heads, tosses, alternative="greater").pvalue
        assert heads_or_more(heads, tosses) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_without_a_toss_there_is_no_evidence() -> None:
    assert heads_or_more(0, 0) == 1


def test_accuracy_counts_the_images_on_which_one_of_the_two_is_right() -> None:
    labels = np.array([0] * 10 + [1] * 9 + [2])
    predicted = np.array([0] * 7 + [1] * 3 + [1] * 8 + [0] + [1])  # gains 8, loses 3
    expected = binomtest(8, 11, alternative="greater").pvalue
    assert accuracy_p_value(predicted, labels, 0) == pytest.approx(expected)


# Balanced accuracy


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [
        ([0, 0, 1, 1, 2, 2, 0], [0, 0, 1, 1, 2, 2, 2]),
        ([0, 1, 1, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1]),
        ([0, 1, 2, 0, 1, 2, 0], [1, 2, 0, 1, 2, 0, 1]),
        ([0, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_permutations_agree_with_all_of_them(predicted: list[int], labels: list[int]) -> None:
    truth, weights = np.array(labels), recall_weights(np.array(labels))
    every = np.array(list(itertools.permutations(predicted)))
    scores = ((every == truth) * weights).sum(axis=1)
    exact = float((scores >= scores[0] - 1e-9).mean())
    found = balanced_accuracy_p_value(np.array(predicted), truth)
    assert found == pytest.approx(exact, rel=0.25)  # three standard errors of the rarest
    assert (found <= LEVEL) == (exact <= LEVEL)


def test_the_same_predictions_get_the_same_p_value_and_stay_as_they_were() -> None:
    predicted, labels = np.arange(60) % 3, np.arange(60) % 2
    before = predicted.copy()
    first = balanced_accuracy_p_value(predicted, labels)
    assert first == balanced_accuracy_p_value(predicted, labels)
    np.testing.assert_array_equal(predicted, before)


def test_many_images_and_classes_take_seconds() -> None:
    labels = np.arange(10_000) % 1_000
    started = time.process_time()
    assert balanced_accuracy_p_value(labels, labels) == 1 / 10_000  # every permutation is needed
    assert balanced_accuracy_p_value(labels, np.roll(labels, 1)) > LEVEL
    assert time.process_time() - started < 20


# Chance


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.7, 0.2, 0.1], [0.1] * 10])
@pytest.mark.parametrize("images", [12, 60])
def test_networks_that_know_nothing_pass_each_test_seldom(shares: list[float], images: int) -> None:
    """In LEVEL of all data sets at most, and a bit: three standard errors of so many draws."""
    random, classes = np.random.default_rng(1), len(shares)
    passed = np.zeros(2, int)
    for _ in range(DATA_SETS):
        labels = random.choice(classes, images, p=shares)
        predicted = random.choice(classes, images, p=random.dirichlet(np.ones(classes)))
        passed[0] += accuracy_p_value(predicted, labels, 0) <= LEVEL
        passed[1] += balanced_accuracy_p_value(predicted, labels, FEW) <= LEVEL
    assert (passed / DATA_SETS <= LEVEL + 3 * np.sqrt(LEVEL / DATA_SETS)).all()


def test_the_balanced_test_uses_its_level_up() -> None:
    """A test that never passes would have no false alarms either."""
    random = np.random.default_rng(2)
    p_values = [
        balanced_accuracy_p_value(random.integers(0, 3, 300), random.integers(0, 3, 300), FEW)
        for _ in range(DATA_SETS)
    ]
    assert np.mean(np.array(p_values) <= LEVEL) == pytest.approx(LEVEL, abs=0.01)


# The sentence


def test_a_network_that_is_right_is_better() -> None:
    labels = [0, 1, 2] * 10
    assert describe(labels, labels, labels, 3) == ""


def test_the_sentence_has_both_scores_beside_what_chance_gives() -> None:
    said = describe([0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1], [0, 0, 1], 2)
    assert said == (
        "On the validation images (6), the network is no better than always answering the largest "
        "class of the training images: neither its accuracy (0.5 against 0.6667) nor its balanced "
        "accuracy (0.5 against 0.5, 1 / classes) is higher by more than chance."
    )


def test_class_weights_may_cost_accuracy() -> None:
    """90 images of a class, 10 of the other: right on 70 and on 9 of them."""
    labels = [0] * 90 + [1] * 10
    predicted = [0] * 70 + [1] * 29 + [0]
    assert np.mean(np.equal(predicted, labels)) < 0.9
    assert describe(predicted, labels, labels, 2) == ""


def test_a_better_accuracy_is_enough() -> None:
    """It always answers class 1: no balanced accuracy, but the test images have many of it."""
    labels = [0] * 10 + [1] * 40 + [2] * 10
    assert describe([1] * 60, labels, [0, 0, 1, 2], 3) == ""
    assert "(0.6667 against 0.6667)" in describe([1] * 60, labels, labels, 3)


@pytest.mark.parametrize("answer", [0, 1])
def test_one_answer_for_all_images_is_no_better(answer: int) -> None:
    """One of the two classes is never predicted."""
    assert describe([answer] * 30, [0, 0, 1] * 10, [0, 0, 1], 2)


def test_one_image_proves_nothing() -> None:
    said = describe([1], [1], [0, 0, 1], 2)
    assert "validation images (1)" in said
    assert "(1.0 against 0.0)" in said


def test_few_images_prove_nothing_even_if_most_are_right() -> None:
    """Both tests know that luck does as much."""
    labels = [0, 1, 2, 0, 1, 2]
    assert describe([0, 1, 0, 0, 0, 2], labels, labels, 3)


@pytest.mark.parametrize(("images", "p"), [(5, 1 / 32), (6, 1 / 64)])
def test_each_test_has_half_of_five_per_cent(images: int, p: float) -> None:
    """All are of class 1, where the training images are of class 0: every toss is a head."""
    ones = [1] * images
    assert accuracy_p_value(np.array(ones), np.array(ones), 0) == pytest.approx(p)
    assert (describe(ones, ones, [0], 2) == "") == (p <= 0.025)


def test_a_class_without_images_is_not_among_the_classes() -> None:
    assert "against 0.5, 1 / classes" in describe([0, 1], [0, 1], [0, 1, 2], 3)


def test_a_balanced_accuracy_that_decides_nothing_is_not_tested(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The permutations of many images take seconds."""
    monkeypatch.setattr("stages.shared.baseline.balanced_accuracy_p_value", None)
    labels = [0, 1, 2] * 10
    assert describe(labels, labels, labels, 3) == ""
