"""The calibration error and the reliability diagram's points against hand-computed examples."""

import numpy as np
import pytest
from predictions import LABELS, PERFECT, SURELY_WRONG, UNIFORM, random_predictions

from stages.evaluate.calibration import (
    calibration_error,
    calibration_error_of,
    confidence_bin,
    confidence_gaps,
    reliability,
)


def error_with_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> float:
    return float(calibration_error_of(confidence_gaps(probabilities, labels, bins).mean(axis=0)))


@pytest.mark.parametrize(
    ("probabilities", "error"),
    [(PERFECT, 0), (UNIFORM, round(0.4 - 1 / 3, 4)), (SURELY_WRONG, 1)],
    ids=["perfect", "uniform", "sure and wrong"],
)
def test_the_calibration_error_of_extreme_predictors(probabilities, error):
    assert calibration_error(probabilities, LABELS) == error


def test_the_calibration_error_by_hand():
    """Five bins; in (0.4, 0.6] one of two is right at 0.55 each, so their gaps cancel in part."""
    probabilities = np.array([[0.55, 0.45], [0.55, 0.45], [0.9, 0.1], [0.3, 0.7]], np.float32)
    labels = np.array([0, 1, 0, 0])
    by_hand = (abs(1 - 2 * 0.55) + abs(1 - 0.9) + abs(0 - 0.7)) / 4
    assert round(error_with_bins(probabilities, labels, bins=5), 4) == round(by_hand, 4)


def test_a_confidence_at_the_edge_belongs_to_the_lower_bin():
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25]], np.float32)
    assert confidence_bin(probabilities, bins=2).tolist() == [0, 1]
    wrong_and_right = np.array([1, 0])
    by_hand = (abs(0 - 0.5) + abs(1 - 0.75)) / 2
    assert error_with_bins(probabilities, wrong_and_right, bins=2) == by_hand


def test_an_images_gap_stands_in_the_column_of_its_bin():
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    gaps = confidence_gaps(probabilities, np.array([0, 1]), bins=4)
    assert gaps.tolist() == [[0, 0, 0.25, 0], [0, -0.5, 0, 0]]


def test_reliability_by_hand():
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]], np.float32)
    assert reliability(probabilities, np.array([0, 1, 0]), bins=10) == [
        {"confidence": 0.5, "accuracy": 0.5, "count": 2},
        {"confidence": 0.75, "accuracy": 1.0, "count": 1},
    ]


def test_reliability_and_calibration_error_agree():
    probabilities, labels = random_predictions(seed=7)
    rows = reliability(probabilities, labels)
    gaps = [row["count"] * abs(row["accuracy"] - row["confidence"]) for row in rows]
    assert sum(row["count"] for row in rows) == 200
    assert sum(gaps) / 200 == pytest.approx(calibration_error(probabilities, labels), abs=2e-4)
