"""Fitting a network: as plain Keras does, with the schedule and the loss that train names."""

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, tiny_block, tiny_images, training

from stages.train.architectures import build_network
from stages.train.batches import Batches
from stages.train.fast_paths import FusedAdam
from stages.train.fitting import Method, compile_network, fit_network, learning_rate

TRAIN, VALIDATION = tiny_images(60, seed=1), tiny_images(24, seed=2)

BLOCK = tiny_block("mlp", units=[16, 8])
make_network = partial(build_network, "mlp", SHAPE, len(CLASSES), **BLOCK)


def fit(
    params: Any, folder: Path, seed: int = 0, plain: bool = False
) -> tuple[keras.Model, dict[str, list[float]]]:
    method = Method(make_network, params, plain=plain)
    return fit_network(method, [TRAIN], VALIDATION, seed, folder)


@pytest.fixture(scope="module")
def fitted(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """A network and its history after a short training without options."""
    return fit(training(), tmp_path_factory.mktemp("fitted"))


def assert_same_weights(one: keras.Model, other: keras.Model) -> None:
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_it_is_what_plain_keras_does(tmp_path):
    """The article's way: float32 images of 0 to 1, one-hot labels, Adam, cross-entropy."""
    params = training(epochs=3, learning_rate=0.001)
    images, labels = TRAIN[0].astype(np.float32) / 255, np.eye(3, dtype=np.float32)[TRAIN[1]]
    keras.utils.set_random_seed(5)
    plain = keras.Sequential([
        keras.layers.Input(SHAPE),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    plain.compile(keras.optimizers.Adam(params.learning_rate), "categorical_crossentropy")
    batches = Batches([TRAIN], 3, 16, seed=5)
    for epoch in range(params.epochs):
        batches.start_epoch(epoch)
        rows = batches.order
        plain.fit(images[rows], labels[rows], batch_size=16, shuffle=False, verbose=0)
    ours, _ = fit(params, tmp_path, seed=5)
    for one, other in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_weights_do_not_depend_on_steps_per_call(monkeypatch, tmp_path):
    """With batches of one there are 60 steps an epoch: a whole call of 50 and a part of one."""
    params = training(epochs=2, batch_size=1)
    as_shipped, _ = fit(params, tmp_path / "as shipped")
    for steps in (1, 7):
        monkeypatch.setattr("stages.train.fitting.STEPS_PER_CALL", steps)
        network, _ = fit(params, tmp_path / str(steps))
        assert_same_weights(network, as_shipped)


def test_the_fused_kernels_give_the_weights_of_the_plain_path(fitted, tmp_path):
    """To the bit, without batch normalisation, which rounds differently (test_fast_paths.py)."""
    fused, history = fitted
    plain, plain_history = fit(training(), tmp_path, plain=True)
    assert_same_weights(fused, plain)
    assert history == plain_history


@pytest.mark.parametrize("plain", [False, True])
def test_the_plain_path_is_keras_own(plain):
    network = build_network("mlp", SHAPE, len(CLASSES), **BLOCK | {"batch_normalization": True})
    compile_network(network, training(), steps_per_epoch=4, plain=plain)
    (first, _second) = (
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    )
    assert isinstance(network.optimizer, FusedAdam) != plain
    assert ("call" in vars(first)) != plain  # a method of the object hides that of the class


# The learning rate


def rates(**options: object) -> list[float]:
    """The learning rate of each weight update, two an epoch."""
    params = training(learning_rate=0.01, **options)
    schedule = learning_rate(params, steps_per_epoch=2)
    steps = range(2 * params.epochs)
    return [float(schedule(n)) if callable(schedule) else schedule for n in steps]


def half_cosine(updates: int) -> np.ndarray:
    return 0.005 * (1 + np.cos(np.pi * np.arange(updates) / updates))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.01] * 8),
        ({"warmup": 2}, [0, 0.0025, 0.005, 0.0075, *[0.01] * 4]),
        ({"schedule": "cosine"}, half_cosine(8)),
        ({"schedule": "cosine", "warmup": 2}, [0, 0.0025, 0.005, 0.0075, *half_cosine(4)]),
        ({"warmup": 3.9}, 0.01 * np.arange(8) / 7),  # rounded, all of the weight updates
    ],
    ids=["constant", "warm-up", "cosine", "both", "warm-up alone"],
)
def test_the_schedule(options, expected):
    np.testing.assert_allclose(rates(epochs=4, **options), expected, rtol=1e-5)


def test_the_optimizer_follows_the_schedule(tmp_path, monkeypatch):
    """With a rate of 0 from the first step on, nothing moves."""
    monkeypatch.setattr("stages.train.fitting.learning_rate", lambda *_: keras.optimizers.schedules
                        .PiecewiseConstantDecay([1], [0.0, 0.0]))  # fmt: skip
    network, _ = fit(training(epochs=1), tmp_path)
    keras.utils.set_random_seed(0)
    assert_same_weights(network, make_network())


# The loss


def test_label_smoothing_is_part_of_the_loss_that_is_minimised(fitted, tmp_path):
    _, sharp = fitted
    _, smooth = fit(training(label_smoothing=0.3), tmp_path)
    assert smooth["loss"][-1] > sharp["loss"][-1]
    least = -(0.8 * np.log(0.8) + 0.2 * np.log(0.1))  # of targets 0.8, 0.1, 0.1
    assert min(smooth["validation_loss"]) > least
