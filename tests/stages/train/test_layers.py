"""The fused batch normalisation against Keras' own."""

import keras
import numpy as np
import pytest

from stages.train.fast_paths import fuse_batch_normalization, normalize_batch

RANDOM = np.random.default_rng(0)


def network(shape: tuple[int, ...]) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = keras.layers.BatchNormalization(gamma_initializer="random_uniform")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


def trained(shape: tuple[int, ...], images: np.ndarray, fused: bool) -> keras.Model:
    model = network(shape)
    if fused:
        fuse_batch_normalization(model)
    model.compile("sgd", "mse", jit_compile=False)
    targets = np.linspace(0, 1, 2 * len(images)).reshape(-1, 2)
    model.fit(images, targets, batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("shape", [(6, 5, 3), (7,)], ids=["images", "vectors"])
def test_it_is_keras_batch_normalisation_but_for_rounding(shape):
    images = RANDOM.normal(2, 3, (20, *shape)).astype(np.float32)
    ours, theirs = (trained(shape, images, fused) for fused in (True, False))
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


def test_the_layer_is_saved_as_keras_own(tmp_path):
    images = RANDOM.normal(size=(20, 7)).astype(np.float32)
    model = trained((7,), images, fused=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-5
    )
