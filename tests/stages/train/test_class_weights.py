"""train.class_weight: which weights there are, and that the loss has them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tiny_images, tiny_model, training
from sklearn.utils.class_weight import compute_class_weight

from stages.train.architectures import network_maker
from stages.train.class_weights import balance_classes
from stages.train.fitting import Method, fit_network

IMAGES, LABELS = tiny_images(60, seed=1)
FEW = np.concatenate([np.flatnonzero(LABELS == 0), np.flatnonzero(LABELS == 1)[:4]])
FEW = np.concatenate([FEW, np.flatnonzero(LABELS == 2)[:2]])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_balanced_weights_are_those_of_scikit_learn_over_all_parts(kind: Any) -> None:
    labels = np.array([0, 0, 0, 0, 1, 2, 2, 0], kind)
    parts = [(IMAGES[:5], labels[:5]), (IMAGES[5:8], labels[5:])]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(balance_classes(parts, 3), expected, rtol=1e-6)
    assert balance_classes(parts, 4).tolist()[3] == 0


def fit(folder: Path, class_weight: str, chosen: np.ndarray) -> tuple[list[np.ndarray], Any]:
    training_part, held_out = (IMAGES[chosen], LABELS[chosen]), (IMAGES, LABELS)
    make_network = network_maker(tiny_model("mlp"), training_part, held_out)
    method = Method(make_network, training(class_weight=class_weight, epochs=1, batch_size=60))
    network, history = fit_network(method, [training_part], held_out, 0, folder)
    return network.get_weights(), history


def test_the_training_loss_is_weighted_and_the_validation_loss_is_not(tmp_path: Path) -> None:
    """One update: the first loss is that of the random weights, whatever the classes weigh."""
    (plain, plain_history), (balanced, history) = (
        fit(tmp_path / kind, kind, FEW) for kind in ("none", "balanced")
    )
    assert history["loss"] != plain_history["loss"]
    assert any((a != b).any() for a, b in zip(plain, balanced, strict=True))


def test_equal_classes_weigh_what_they_do_without_weights(tmp_path: Path) -> None:
    every = np.arange(60)
    (plain, _), (balanced, _) = (fit(tmp_path / k, k, every) for k in ("none", "balanced"))
    for a, b in zip(plain, balanced, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
