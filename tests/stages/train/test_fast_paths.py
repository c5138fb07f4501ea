"""The fused kernels against Keras' own optimizer and batch normalisation."""

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, tiny_block, tiny_images

from stages.train.architectures import build_network
from stages.train.fast_paths import FusedAdam, fuse_batch_normalization, make_adam, normalize_batch

IMAGES, LABELS = tiny_images(60, seed=1)


# Adam


def weights_after_training(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    keras.utils.set_random_seed(0)
    network = build_network("mlp", SHAPE, len(CLASSES), **tiny_block("mlp", units=[16, 8]))
    network.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=False)
    network.fit(IMAGES, LABELS, batch_size=16, epochs=10, shuffle=False, verbose=0)
    return network.get_weights()


def test_the_fused_adam_is_keras_adam_to_the_bit():
    fused, plain = (make_adam(0.01, plain=plain) for plain in (False, True))
    assert (type(fused), type(plain)) == (FusedAdam, keras.optimizers.Adam)
    for one, other in zip(
        weights_after_training(fused), weights_after_training(plain), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("plain", [False, True])
def test_the_betas_are_those_of_the_article_to_seven_digits(plain):
    optimizer = make_adam(0.1, plain)
    betas = [optimizer.beta_1, optimizer.beta_2]
    np.testing.assert_allclose(betas, [0.9, 0.999], rtol=1e-7)


# Batch normalisation


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(2, 3, shape).astype(np.float32)


def network(shape: tuple[int, ...]) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = keras.layers.BatchNormalization(gamma_initializer="random_uniform")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


def trained(images: np.ndarray, fused: bool) -> keras.Model:
    model = network(images.shape[1:])
    if fused:
        fuse_batch_normalization(model)
    model.compile("sgd", "mse", jit_compile=False)
    targets = np.linspace(0, 1, 2 * len(images)).reshape(-1, 2)
    model.fit(images, targets, batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("shape", [(6, 5, 3), (7,)], ids=["images", "vectors"])
def test_the_fused_normalisation_is_keras_own_but_for_rounding(shape):
    images = random_images(20, *shape)
    ours, theirs = (trained(images, fused) for fused in (True, False))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        ours.predict(images, verbose=0), theirs.predict(images, verbose=0), rtol=1e-4, atol=1e-4
    )


def test_every_layer_is_fused_and_stays_keras_own():
    model = network((6, 5, 3))
    fuse_batch_normalization(model)
    (layer,) = (each for each in model.layers if isinstance(each, keras.layers.BatchNormalization))
    assert type(layer) is keras.layers.BatchNormalization
    assert layer.call.__func__ is normalize_batch


def test_a_fused_layer_is_saved_as_keras_own(tmp_path):
    images = random_images(20, 7)
    model = trained(images, fused=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5
    )
