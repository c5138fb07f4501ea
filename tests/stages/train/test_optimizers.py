"""The fused Adam against Keras' own."""

import keras
import numpy as np
from conftest import CLASSES, SHAPE, tiny_images

from stages.train.architectures import build_network
from stages.train.fast_paths import FusedAdam

IMAGES, LABELS = tiny_images(60, seed=1)


def weights_after_training(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    keras.utils.set_random_seed(0)
    block = {"units": [16, 8], "dropout": [0.2, 0.0], "batch_normalization": False}
    network = build_network("mlp", SHAPE, len(CLASSES), **block)
    network.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=False)
    network.fit(IMAGES, LABELS, batch_size=16, epochs=10, shuffle=False, verbose=0)
    return network.get_weights()


def test_it_is_keras_adam_to_the_bit():
    ours = FusedAdam(0.01)
    theirs = keras.optimizers.Adam(0.01, beta_1=ours.beta_1, beta_2=ours.beta_2)
    for one, other in zip(
        weights_after_training(ours), weights_after_training(theirs), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_rounded_betas_are_those_of_the_article_to_seven_digits():
    optimizer = FusedAdam(0.1)
    betas = [optimizer.beta_1, optimizer.beta_2]
    np.testing.assert_allclose(betas, [0.9, 0.999], rtol=1e-7)
