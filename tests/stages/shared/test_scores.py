"""Accuracy and loss against hand-computed examples and scikit-learn."""

import math

import numpy as np
import pytest
from predictions import LABELS, PERFECT, PROBABILITIES, SURELY_WRONG, UNIFORM, random_predictions
from sklearn.metrics import accuracy_score, log_loss

from stages.shared import scores


def test_an_image_is_a_hit_if_its_most_probable_class_is_right():
    assert scores.is_hit(PROBABILITIES, LABELS).tolist() == [True, False, True, True, False]


def test_accuracy_and_loss_by_hand():
    assert scores.accuracy(PROBABILITIES, LABELS) == 0.6
    of_truth = np.array([0.8, 0.3, 0.5, 0.8, 0.2])
    np.testing.assert_allclose(scores.cross_entropy(PROBABILITIES, LABELS), -np.log(of_truth), 1e-6)
    by_hand = -(math.log(0.8) + math.log(0.3) + math.log(0.5) + math.log(0.8) + math.log(0.2)) / 5
    assert scores.loss(PROBABILITIES, LABELS) == round(by_hand, 4)


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_and_loss_agree_with_scikit_learn(seed):
    probabilities, labels = random_predictions(seed)
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)  # scikit-learn warns of float32's rounding
    accuracy = accuracy_score(labels, probabilities.argmax(axis=1))
    assert scores.accuracy(probabilities, labels) == round(accuracy, 4)
    assert scores.loss(probabilities, labels) == pytest.approx(log_loss(labels, exact), abs=1e-4)


def test_a_perfect_predictor_has_accuracy_one_and_loss_zero():
    assert scores.accuracy(PERFECT, LABELS) == 1
    assert scores.loss(PERFECT, LABELS) == 0


def test_a_predictor_that_knows_nothing_has_the_loss_of_a_guess():
    assert scores.loss(UNIFORM, LABELS) == round(math.log(3), 4)
    assert scores.accuracy(UNIFORM, LABELS) == 0.4  # of equals the first counts: red, two images


def test_a_predictor_that_is_sure_and_wrong_has_a_finite_loss():
    assert scores.accuracy(SURELY_WRONG, LABELS) == 0
    assert scores.loss(SURELY_WRONG, LABELS) == round(
        -math.log(2.0**-126), 4
    )  # float32's smallest normal


@pytest.mark.parametrize("probability", [1e-7, 1e-9, 1e-20, 1e-37])
def test_a_small_probability_counts_as_it_is(probability):
    """Not clipped: Keras' loss in the terminal and in history.csv is not, either."""
    probabilities = np.array([[probability, 1]], np.float32)
    expected = round(-math.log(np.float32(probability)), 4)
    assert scores.loss(probabilities, np.array([0])) == expected
