"""The article's network, layer by layer, and what holds of every network."""

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, tiny_images

from stages.architectures import ARCHITECTURES, build

ARTICLE = {"units": [512, 256], "dropout": [0.2, 0.0]}


def tiny_network(**block: object) -> keras.Model:
    return build("mlp", SHAPE, len(CLASSES), **({"units": [8], "dropout": [0.5]} | block))


def names_of(network: keras.Model) -> list[str]:
    return [layer.name for layer in network.layers]


def test_the_articles_network_has_its_parameters_layer_by_layer():
    network = build("mlp", (28, 28), 10, **ARTICLE)
    assert network.count_params() == 535_818
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [401_920, 131_328, 2_570]


def test_the_articles_network_has_its_layers_in_order():
    network = build("mlp", (28, 28), 10, **ARTICLE)
    of_dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.activation.__name__ for layer in of_dense] == ["relu", "relu", "softmax"]
    assert names_of(network) == [
        "images", "scale", "flatten", "dense_1", "dropout_1", "dense_2", "probabilities",
    ]  # fmt: skip
    assert network.get_layer("dropout_1").rate == 0.2


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_takes_bytes_and_gives_probabilities(name):
    blocks = {"mlp": {"units": [8, 4], "dropout": [0.2, 0.0]}}
    images, _labels = tiny_images(7, seed=0)
    network = build(name, SHAPE, len(CLASSES), **blocks[name])
    probabilities = network.predict(images, verbose=0)
    assert network.name == name
    assert network.input.dtype == "uint8"
    assert probabilities.shape == (7, len(CLASSES))
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_scaling_is_part_of_the_network():
    network = tiny_network()
    scaled = keras.Model(network.input, network.get_layer("scale").output)
    white = np.full((1, *SHAPE), 255, np.uint8)
    np.testing.assert_allclose(scaled(white), np.ones((1, *SHAPE), np.float32), atol=1e-6)
    assert (scaled(np.zeros((1, *SHAPE), np.uint8)).numpy() == 0).all()


def test_names_do_not_depend_on_what_was_built_before():
    first, second = tiny_network(), tiny_network()
    assert names_of(first) == names_of(second)
    weights = [[weight.path for weight in network.weights] for network in (first, second)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("dropout", "made"),
    [([0.0, 0.0], []), ([0.3, 0.0], [1]), ([0.0, 0.3], [2]), ([0.3, 0.3], [1, 2])],
)
def test_a_dropout_of_zero_makes_no_layer(dropout, made):
    names = names_of(tiny_network(units=[8, 4], dropout=dropout))
    assert [name for name in names if "dropout" in name] == [f"dropout_{n}" for n in made]


def test_each_layer_of_units_needs_its_dropout():
    with pytest.raises(ValueError, match="shorter"):
        tiny_network(units=[8, 4], dropout=[0.0])
