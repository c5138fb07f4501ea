"""The threshold below which the classifier is unsure."""

import numpy as np
import pytest
from scipy.stats import binom

from stages.evaluate.threshold import RISK, STARTS, choose_threshold, scores_at


def predictions(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes; an image's confidence, 0.5 to 1, is the chance that its class is right."""
    random = np.random.default_rng(seed)
    confidence = random.uniform(0.5, 1, count)
    labels = (random.uniform(size=count) > confidence).astype(np.uint8)
    return np.stack([confidence, 1 - confidence], axis=1).astype(np.float32), labels


@pytest.mark.parametrize("accepted_error", [0.06, 0.1, 0.2])
def test_the_error_among_the_accepted_keeps_its_promise_on_new_images(accepted_error):
    """Above the threshold t the error is (1 - t) / 2; it breaks its promise in 1 of 20 runs."""
    thresholds = [choose_threshold(*predictions(4000, seed), accepted_error) for seed in range(100)]
    errors = [(1 - threshold) / 2 for threshold in thresholds if threshold is not None]
    assert len(errors) > 90
    assert sum(error > accepted_error for error in errors) <= binom.ppf(0.99, 100, RISK)
    assert np.mean(errors) > 0.5 * accepted_error  # and few images are given away


def test_it_is_the_lowest_threshold_that_passes():
    probabilities, labels = predictions(4000)
    threshold = choose_threshold(probabilities, labels, 0.1)
    confidence = probabilities.max(axis=1)
    passing = [
        each
        for each in np.unique(confidence)
        for accepted in [confidence >= each]
        if binom.cdf(labels[accepted].sum(), accepted.sum(), 0.1) <= RISK / STARTS
    ]
    assert threshold in passing
    assert sum(each < threshold for each in passing) < 40  # beyond the first that fails


def test_images_of_equal_confidence_are_accepted_together():
    """The first half is right and the second wrong: no threshold can tell them apart."""
    probabilities = np.tile(np.array([[0.9, 0.1]], np.float32), (2000, 1))
    labels = np.repeat([0, 1], 1000)
    assert choose_threshold(probabilities, labels, 0.1) is None
    assert choose_threshold(probabilities, labels * 0, 0.1) == pytest.approx(0.9)


def test_a_stray_error_among_the_surest_ends_nothing():
    probabilities, labels = predictions(4000)
    surest = probabilities.max(axis=1).argmax()
    labels[surest] = 1
    assert choose_threshold(probabilities, labels, 0.1) is not None


def test_few_images_prove_no_small_error():
    right = np.array([[0.9, 0.1]], np.float32)
    assert choose_threshold(np.repeat(right, 900, axis=0), np.zeros(900, int), 0.005) is None
    assert choose_threshold(np.repeat(right, 930, axis=0), np.zeros(930, int), 0.005) is not None


def test_without_validation_images_there_is_none():
    empty = np.zeros((0, 3), np.float32)
    assert choose_threshold(empty, np.zeros(0, np.uint8), 0.01) is None


def test_the_scores_are_those_of_the_accepted():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], np.float32)
    labels = np.array([0, 0, 0, 1])
    at = float(probabilities[2, 0])
    assert scores_at(at, probabilities, labels) == {"coverage": 0.75, "accepted_error_rate": 0.3333}
    assert scores_at(1.0, probabilities, labels) == {"coverage": 0.0}
    assert scores_at(None, probabilities, labels) == {}
