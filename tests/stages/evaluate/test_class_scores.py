"""Scores by class against hand-computed and published examples, and against scikit-learn."""

import time
import tracemalloc

import numpy as np
import pytest
from predictions import CLASSES, LABELS, PERFECT, PROBABILITIES, SURELY_WRONG, random_predictions
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)

from stages.evaluate.class_scores import (
    MOST_CELLS,
    balanced_accuracy,
    class_columns,
    confusion_counts,
    confusion_rows,
    macro_f1,
    score_rows,
    share_interval,
)


def rows_of(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, str | float]]:
    return score_rows(confusion_counts(probabilities, labels), CLASSES)


# Intervals


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
    assert share_interval(hit_count, count) == (low, high)


def test_an_interval_ends_at_one_if_all_are_right():
    assert share_interval(20, 20) == (0.8389, 1)


# Against scikit-learn


@pytest.fixture(params=range(3))
def predictions(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    return random_predictions(request.param)


def test_confusion_counts_agree_with_scikit_learn(predictions):
    probabilities, labels = predictions
    expected = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(4))
    np.testing.assert_array_equal(confusion_counts(probabilities, labels), expected)


def test_scores_by_class_agree_with_scikit_learn(predictions):
    probabilities, labels = predictions
    rows = score_rows(confusion_counts(probabilities, labels), list("abcd"))
    expected = precision_recall_fscore_support(labels, probabilities.argmax(axis=1))
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [row[name] for row in rows] == values.round(4).tolist()


def test_the_macro_f1_agrees_with_scikit_learn(predictions):
    probabilities, labels = predictions
    predicted = probabilities.argmax(axis=1)
    assert macro_f1(confusion_counts(probabilities, labels)) == round(
        f1_score(labels, predicted, average="macro"), 4
    )
    by_class = [f1_score(labels == k, predicted == k) for k in range(4)]
    assert macro_f1(confusion_counts(probabilities, labels)) == round(np.mean(by_class), 4)


# By hand


def test_the_macro_f1_by_hand():
    # Precision and recall: red 1/2, 1/2; green 1/2, 1/1; blue 1/1, 1/2.
    assert macro_f1(confusion_counts(PROBABILITIES, LABELS)) == round(
        (1 / 2 + 2 / 3 + 2 / 3) / 3, 4
    )


def test_a_perfect_predictor_confuses_nothing():
    assert macro_f1(confusion_counts(PERFECT, LABELS)) == 1
    assert confusion_counts(PERFECT, LABELS).tolist() == [[2, 0, 0], [0, 1, 0], [0, 0, 2]]


def test_a_predictor_that_is_always_wrong_has_macro_f1_zero():
    assert macro_f1(confusion_counts(SURELY_WRONG, LABELS)) == 0


def test_confusion_counts_have_true_classes_in_rows():
    assert confusion_counts(PROBABILITIES, LABELS).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_confusion_counts_of_more_classes_than_a_byte_can_pair():
    """Labels are bytes: a pair's number would overflow in their type."""
    labels = np.arange(100, dtype=np.uint8)
    counts = confusion_counts(np.eye(100, dtype=np.float32), labels)
    np.testing.assert_array_equal(counts, np.eye(100))


def test_confusion_rows_have_each_class_with_itself_and_then_the_mistakes_that_were_made():
    rows = confusion_rows(confusion_counts(PROBABILITIES, LABELS), CLASSES)
    assert [(row["actual"], row["predicted"], row["count"]) for row in rows] == [
        ("red", "red", 1), ("green", "green", 1), ("blue", "blue", 1),
        ("red", "green", 1), ("blue", "red", 1),
    ]  # fmt: skip


def test_the_rarest_mistakes_are_left_out_and_counted():
    counts = np.array([[0, 2, 1], [3, 5, 1], [2, 0, 4]])
    rows = confusion_rows(counts, CLASSES, most=6)
    assert [(row["actual"], row["predicted"], row["count"]) for row in rows] == [
        ("red", "red", 0), ("green", "green", 5), ("blue", "blue", 4),
        ("red", "green", 2), ("green", "red", 3), (None, None, 4),
    ]  # fmt: skip
    assert rows[-1]["cells"] == 3
    assert confusion_rows(counts, CLASSES, most=8)[-1]["actual"] == "blue"


def test_a_thousand_classes_and_fifty_thousand_images_take_neither_seconds_nor_gigabytes():
    random = np.random.default_rng(0)
    labels = random.integers(1000, size=50_000).astype(np.uint16)
    probabilities = random.random((50_000, 1000), np.float32)
    start = time.process_time()
    tracemalloc.start()
    counts = confusion_counts(probabilities, labels)
    rows = confusion_rows(counts, [str(number) for number in range(1000)])
    score_rows(counts, [str(number) for number in range(1000)])
    assert macro_f1(counts) < 0.01
    assert class_columns(probabilities, labels).shape == (50_000, 3000)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - start < 5
    assert peak < 100e6  # bytes
    assert len(rows) == MOST_CELLS
    assert sum(row["count"] for row in rows) == 50_000


def test_the_balanced_accuracy_agrees_with_scikit_learn(predictions):
    probabilities, labels = predictions
    expected = balanced_accuracy_score(labels, probabilities.argmax(axis=1))
    assert balanced_accuracy(confusion_counts(probabilities, labels)) == round(expected, 4)


def test_the_balanced_accuracy_is_that_of_the_classes_that_have_images():
    assert balanced_accuracy(np.array([[3, 1, 0], [0, 0, 0], [5, 0, 5]])) == 0.625


def test_scores_by_class():
    red, green, blue = rows_of(PROBABILITIES, LABELS)
    low, high = share_interval(1, 2)
    assert red == {
        "class": "red", "precision": 0.5, "recall": 0.5, "recall_low": low, "recall_high": high,
        "f1": 0.5, "support": 2,
    }  # fmt: skip
    names = ("class", "precision", "recall", "f1", "support")
    assert [green[name] for name in names] == ["green", 0.5, 1, 0.6667, 1]
    assert [blue[name] for name in names] == ["blue", 1, 0.5, 0.6667, 2]


def test_columns_say_right_predicted_and_true_for_each_class():
    # The second image is a red one taken for green.
    assert class_columns(PROBABILITIES, LABELS).toarray()[1].tolist() == [0, 0, 0, 0, 1, 0, 1, 0, 0]


# Classes without images or predictions


def test_a_class_without_images_has_its_row():
    """Nothing is known of its recall, as its interval says; no warning, no division by zero."""
    labels = np.array([0, 0, 1, 0, 0], np.uint8)
    assert confusion_counts(PROBABILITIES, labels)[2].tolist() == [0, 0, 0]
    blue = rows_of(PROBABILITIES, labels)[2]
    assert (blue["support"], blue["recall"], blue["f1"]) == (0, 0, 0)
    assert (blue["recall_low"], blue["recall_high"]) == (0, 1)


def test_a_class_that_neither_occurs_nor_is_predicted_keeps_its_place():
    counts = confusion_counts(PROBABILITIES[:3], np.array([0, 0, 1]))
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_a_class_that_is_never_predicted_has_precision_zero():
    never_blue = PROBABILITIES * [1, 1, 0]
    blue = rows_of(never_blue, LABELS)[2]
    assert (blue["precision"], blue["recall"], blue["f1"], blue["support"]) == (0, 0, 0, 2)
    # Precision and recall of red are now 1/3 and 1/2, of green 1/2 and 1/1.
    assert macro_f1(confusion_counts(never_blue, LABELS)) == round((2 / 5 + 2 / 3 + 0) / 3, 4)
