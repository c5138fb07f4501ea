"""The ONNX file beside Keras' probabilities."""

import numpy as np
import pytest
from conftest import CLASSES, SHAPE, tiny_block, tiny_images

from stages.shared.errors import UserError
from stages.train.architectures import build_network
from stages.train.comparison import SAMPLE_IMAGES, refuse_difference, sample_images
from stages.train.onnx_graph import make_onnx

IMAGES, _ = tiny_images(30, seed=4)


@pytest.fixture(scope="module")
def made() -> tuple[bytes, np.ndarray]:
    network = build_network("mlp", SHAPE, len(CLASSES), **tiny_block("mlp"))
    return make_onnx(network), network.predict_on_batch(IMAGES)


def test_the_same_network_passes(made):
    refuse_difference(made[0], IMAGES, made[1], threads=1)


def test_a_probability_too_far_away_is_refused(made):
    content, probabilities = made
    moved = probabilities.copy()
    moved[7, 1] += 2e-5
    with pytest.raises(UserError, match=r"up to 2\.\de-05 from Keras' on 30 images"):
        refuse_difference(content, IMAGES, moved, threads=1)


def test_a_class_may_change_in_a_tie_alone(made):
    content, probabilities = made
    swapped = probabilities.copy()
    swapped[3] = np.roll(swapped[3], 1)
    with pytest.raises(UserError, match="and 1 images change their class"):
        refuse_difference(content, IMAGES, swapped, threads=1)


def test_a_file_that_cannot_be_loaded_is_refused(made):
    with pytest.raises(UserError, match=r"the ONNX file is not the network.*please report it"):
        refuse_difference(made[0][:-9], IMAGES, made[1], threads=1)


def test_the_sample_is_spread_over_all_images():
    images = np.arange(10_001)[:, None, None]
    sample = sample_images(images)
    assert len(sample) == SAMPLE_IMAGES
    assert (sample[0], sample[-1]) == (0, 10_000)
    assert len(np.unique(sample)) == SAMPLE_IMAGES
    assert len(sample_images(images[:5])) == 5
