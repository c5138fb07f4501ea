"""The ONNX file beside Keras' probabilities."""

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, tiny_block, tiny_images

from stages.shared.errors import UserError
from stages.train.architectures import build_network
from stages.train.comparison import choose_sample, describe_difference, refuse_difference
from stages.train.onnx_graph import make_onnx

IMAGES, _ = tiny_images(30, seed=4)
EXPECTED = np.array([[0.3, 0.7], [0.5, 0.5], [1e-9, 1.0]], np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build_network("mlp", SHAPE, len(CLASSES), **tiny_block("mlp"))


def test_the_same_network_passes(network, tmp_path):
    refuse_difference(make_onnx(network), network, IMAGES, tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_network_is_refused_and_the_trained_one_is_kept(network, tmp_path):
    other = keras.models.clone_model(network)
    with pytest.raises(UserError, match=r"of 30 images, \d+ have .* kept as .*model.keras") as said:
        refuse_difference(make_onnx(other), network, IMAGES, tmp_path)
    kept = keras.models.load_model(str(said.value).rpartition(" ")[2])
    np.testing.assert_array_equal(kept.predict_on_batch(IMAGES), network.predict_on_batch(IMAGES))


def test_a_file_that_cannot_be_loaded_is_refused(network, tmp_path):
    with pytest.raises(UserError, match=r"the ONNX file is not the network.*please report it"):
        refuse_difference(make_onnx(network)[:-9], network, IMAGES, tmp_path)


@pytest.mark.parametrize("moved", [3e-5, -2e-4, 2e-5])
def test_rounding_of_a_large_probability_is_no_difference(moved):
    found = EXPECTED + np.array([[0, 0], [moved, -moved], [0, 0]], np.float32)
    assert describe_difference(found, EXPECTED) == ""


@pytest.mark.parametrize(("row", "column", "moved"), [(0, 0, 4e-4), (2, 0, 2e-5), (2, 1, -0.6)])
def test_more_than_rounding_is_a_difference(row, column, moved):
    found = EXPECTED.copy()
    found[row, column] += moved
    assert "of 3 images, 1 have probabilities further" in describe_difference(found, EXPECTED)


def test_a_difference_says_how_many_images_change_their_class():
    said = describe_difference(EXPECTED[:, ::-1], EXPECTED)
    assert "2 have probabilities" in said
    assert said.endswith("2 change their class")


@pytest.mark.parametrize("count", [1, 7, 2000])
def test_the_sample_is_spread_over_all_images(count):
    images = np.arange(10_001)[:, None, None]
    sample = choose_sample(images, count)
    assert len(np.unique(sample)) == count
    assert sample[0] == 0
    assert count == 1 or sample[-1] == 10_000
    assert len(choose_sample(images[:5], count)) == min(5, count)
