"""The scores against hand-computed and published examples, and against scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from stages.evaluate import class_scores
from stages.shared import scores

# Five images of three classes. The most probable classes are 0, 1, 1, 2, 0: three are right.
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]],
    np.float32,
)
LABELS = np.array([0, 0, 1, 2, 2], np.uint8)
CLASSES = ["red", "green", "blue"]

PERFECT = np.eye(3, dtype=np.float32)[LABELS]
UNIFORM = np.full((5, 3), 1 / 3, np.float32)


def random_predictions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, 200).astype(np.uint8)
    probabilities = random.dirichlet([0.5] * 4, 200).astype(np.float32)
    probabilities[:100] = 0.7 * probabilities[:100] + 0.3 * np.eye(4)[labels[:100]]
    return probabilities, labels


def test_hits_are_where_the_most_probable_class_is_right():
    assert scores.hits(PROBABILITIES, LABELS).tolist() == [True, False, True, True, False]


def test_scores_of_the_example():
    assert scores.accuracy(PROBABILITIES, LABELS) == 0.6
    by_hand = -(math.log(0.8) + math.log(0.3) + math.log(0.5) + math.log(0.8) + math.log(0.2)) / 5
    assert scores.loss(PROBABILITIES, LABELS) == round(by_hand, 4)
    # Precision and recall: red 1/2, 1/2; green 1/2, 1/1; blue 1/1, 1/2.
    assert class_scores.macro_f1(PROBABILITIES, LABELS) == round((1 / 2 + 2 / 3 + 2 / 3) / 3, 4)


@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_scikit_learn(seed):
    probabilities, labels = random_predictions(seed)
    predicted = probabilities.argmax(axis=1)
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)  # scikit-learn warns of float32's rounding
    assert scores.accuracy(probabilities, labels) == round(accuracy_score(labels, predicted), 4)
    assert scores.loss(probabilities, labels) == pytest.approx(log_loss(labels, exact), abs=1e-4)
    macro = np.mean([f1_score(labels == k, predicted == k) for k in range(4)])
    assert class_scores.macro_f1(probabilities, labels) == round(macro, 4)


def test_a_perfect_predictor():
    assert scores.accuracy(PERFECT, LABELS) == 1
    assert scores.loss(PERFECT, LABELS) == 0
    assert class_scores.macro_f1(PERFECT, LABELS) == 1
    assert scores.calibration_error(PERFECT, LABELS) == 0
    assert class_scores.confusion_counts(PERFECT, LABELS).tolist() == [
        [2, 0, 0],
        [0, 1, 0],
        [0, 0, 2],
    ]


def test_a_predictor_that_knows_nothing():
    assert scores.loss(UNIFORM, LABELS) == round(math.log(3), 4)
    assert scores.accuracy(UNIFORM, LABELS) == 0.4  # of equals the first counts: red, two images
    assert scores.calibration_error(UNIFORM, LABELS) == round(0.4 - 1 / 3, 4)


def test_a_predictor_that_is_sure_and_wrong_has_a_finite_loss():
    surely_wrong = np.roll(PERFECT, 1, axis=1)
    assert scores.accuracy(surely_wrong, LABELS) == 0
    assert class_scores.macro_f1(surely_wrong, LABELS) == 0
    assert scores.loss(surely_wrong, LABELS) == round(-math.log(1e-7), 4)
    assert scores.calibration_error(surely_wrong, LABELS) == 1


@pytest.mark.parametrize(
    ("hit_count", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_the_published_ones(hit_count, count, low, high):
    """R. G. Newcombe, Statistics in Medicine 17 (1998), pages 857-872, table I, method 3."""
    assert class_scores.share_interval(hit_count, count) == (low, high)


def test_an_interval_ends_at_one_if_all_are_right():
    assert class_scores.share_interval(20, 20) == (0.8389, 1)


def test_calibration_error_by_hand():
    """Five bins; in (0.4, 0.6] one of two is right at 0.55 each, so their gaps cancel in part."""
    probabilities = np.array([[0.55, 0.45], [0.55, 0.45], [0.9, 0.1], [0.3, 0.7]], np.float32)
    labels = np.array([0, 1, 0, 0])
    by_hand = (abs(1 - 2 * 0.55) + abs(1 - 0.9) + abs(0 - 0.7)) / 4
    assert scores.calibration_error(probabilities, labels, bins=5) == round(by_hand, 4)


def test_a_confidence_at_the_edge_belongs_to_the_lower_bin():
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25]], np.float32)
    wrong_and_right = np.array([1, 0])
    by_hand = (abs(0 - 0.5) + abs(1 - 0.75)) / 2
    assert scores.calibration_error(probabilities, wrong_and_right, bins=2) == by_hand


def test_reliability_by_hand():
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]], np.float32)
    assert scores.reliability(probabilities, np.array([0, 1, 0]), bins=10) == [
        {"confidence": 0.5, "accuracy": 0.5, "count": 2},
        {"confidence": 0.75, "accuracy": 1.0, "count": 1},
    ]


def test_reliability_and_calibration_error_tell_the_same():
    probabilities, labels = random_predictions(seed=7)
    rows = scores.reliability(probabilities, labels)
    gaps = [row["count"] * abs(row["accuracy"] - row["confidence"]) for row in rows]
    assert sum(row["count"] for row in rows) == 200
    assert sum(gaps) / 200 == pytest.approx(
        scores.calibration_error(probabilities, labels), abs=2e-4
    )


def test_confusion_counts_have_true_classes_in_rows():
    assert class_scores.confusion_counts(PROBABILITIES, LABELS).tolist() == [
        [1, 1, 0],
        [0, 1, 0],
        [1, 0, 1],
    ]


def test_confusion_rows_name_every_pair_in_the_classes_order():
    counts = class_scores.confusion_counts(PROBABILITIES, LABELS)
    rows = class_scores.confusion_rows(counts, CLASSES)
    assert [(row["actual"], row["predicted"], row["count"]) for row in rows] == [
        ("red", "red", 1), ("red", "green", 1), ("red", "blue", 0),
        ("green", "red", 0), ("green", "green", 1), ("green", "blue", 0),
        ("blue", "red", 1), ("blue", "green", 0), ("blue", "blue", 1),
    ]  # fmt: skip


def test_scores_by_class():
    red, green, blue = class_scores.by_class(PROBABILITIES, LABELS, CLASSES)
    low, high = class_scores.share_interval(1, 2)
    assert red == {
        "class": "red", "precision": 0.5, "recall": 0.5, "recall_low": low, "recall_high": high,
        "f1": 0.5, "support": 2,
    }  # fmt: skip
    assert (green["class"], green["precision"], green["recall"], green["f1"]) == (
        "green", 0.5, 1, 0.6667,
    )  # fmt: skip
    assert (blue["class"], blue["precision"], blue["recall"], blue["support"]) == (
        "blue",
        1,
        0.5,
        2,
    )


def test_a_class_without_images_has_its_row():
    """Nothing is known of its recall, which its interval says; no warning, no division by zero."""
    labels = np.array([0, 0, 1, 0, 0], np.uint8)
    assert class_scores.confusion_counts(PROBABILITIES, labels)[2].tolist() == [0, 0, 0]
    blue = class_scores.by_class(PROBABILITIES, labels, CLASSES)[2]
    assert (blue["support"], blue["recall"], blue["f1"]) == (0, 0, 0)
    assert (blue["recall_low"], blue["recall_high"]) == (0, 1)


def test_a_class_that_neither_occurs_nor_is_predicted_keeps_its_place():
    counts = class_scores.confusion_counts(PROBABILITIES[:3], np.array([0, 0, 1]))
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_a_class_that_is_never_predicted_has_precision_zero():
    never_blue = PROBABILITIES * [1, 1, 0]
    blue = class_scores.by_class(never_blue, LABELS, CLASSES)[2]
    assert (blue["precision"], blue["recall"], blue["f1"], blue["support"]) == (0, 0, 0, 2)
    # Precision and recall of red are now 1/3 and 1/2, of green 1/2 and 1/1.
    assert class_scores.macro_f1(never_blue, LABELS) == round((2 / 5 + 2 / 3 + 0) / 3, 4)
