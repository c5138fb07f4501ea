"""The article's network, layer by layer, and what holds of every network."""

from typing import get_args

import keras
import numpy as np
import pytest
from conftest import (
    ARTICLE,
    CLASSES,
    NETWORKS,
    SHAPE,
    normalization,
    tiny_block,
    tiny_images,
    tiny_model,
)

from stages.run.params import Model
from stages.shared.errors import UserError
from stages.train.architectures import (
    ARCHITECTURES,
    average_networks,
    build_network,
    network_maker,
)


def tiny_network(name: str = "mlp", **changes: object) -> keras.Model:
    return build_network(name, SHAPE, len(CLASSES), **tiny_block(name, **changes))


def articles_network() -> keras.Model:
    return build_network("mlp", (28, 28), 10, **ARTICLE["model"]["mlp"])


def names_of(network: keras.Model) -> list[str]:
    return [layer.name for layer in network.layers]


def test_every_network_has_its_function_its_type_and_its_block_in_the_articles_recipe():
    known = list(ARCHITECTURES)
    assert known == NETWORKS
    assert known == [name for name in Model.model_fields if name != "name"]
    assert known == list(get_args(Model.model_fields["name"].annotation))


def test_the_maker_builds_the_chosen_network_for_the_classes_of_both_parts():
    images, _labels = tiny_images(4, seed=0)
    parts = [(images, np.array(labels, np.uint8)) for labels in ([0, 1, 1, 0], [2, 0, 1, 4])]
    for training, validation in (parts, parts[::-1]):
        network = network_maker(tiny_model("mlp", units=[5, 3]), training, validation)()
        assert network.input.shape[1:] == SHAPE
        assert network.output.shape[1] == 5
        assert network.get_layer("dense_1").units == 5


def test_the_articles_network_has_its_parameters_layer_by_layer():
    network = articles_network()
    assert network.count_params() == 535_818
    counts = [layer.count_params() for layer in network.layers if layer.weights]
    assert counts == [401_920, 131_328, 2_570]


def test_the_articles_network_has_its_layers_in_order():
    network = articles_network()
    of_dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.activation.__name__ for layer in of_dense] == ["relu", "relu", "softmax"]
    assert names_of(network) == [
        "images", "scale", "flatten", "dense_1", "dropout_1", "dense_2", "probabilities",
    ]  # fmt: skip
    assert network.get_layer("dropout_1").rate == 0.2


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_takes_bytes_and_gives_probabilities(name):
    images, _labels = tiny_images(7, seed=0)
    network = tiny_network(name)
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


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_names_do_not_depend_on_what_was_built_before(name):
    first, second = tiny_network(name), tiny_network(name)
    assert names_of(first) == names_of(second)
    weights = [[weight.path for weight in network.weights] for network in (first, second)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("dropout", "made"),
    [([0.0, 0.0], []), ([0.3, 0.0], [1]), ([0.0, 0.3], [2]), ([0.3, 0.3], [1, 2])],
)
def test_a_dropout_of_zero_makes_no_layer(dropout, made):
    names = names_of(tiny_network(dropout=dropout))
    assert [name for name in names if "dropout" in name] == [f"dropout_{n}" for n in made]


def test_each_layer_of_units_needs_its_dropout():
    with pytest.raises(ValueError, match="shorter"):
        tiny_network(units=[8, 4], dropout=[0.0])


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if normalization(name)])
def test_batch_normalisation_stands_between_a_layer_without_bias_and_its_relu(name):
    kinds = (keras.layers.Dense, keras.layers.Conv2D)
    *layers, _output = tiny_network(name, batch_normalization=True).layers
    weighted = [number for number, layer in enumerate(layers) if isinstance(layer, kinds)]
    assert weighted
    for number in weighted:
        assert not layers[number].use_bias
        assert [type(layer) for layer in layers[number + 1 : number + 3]] == [
            keras.layers.BatchNormalization, keras.layers.ReLU,
        ]  # fmt: skip
    without = tiny_network(name, batch_normalization=False).layers
    assert keras.layers.BatchNormalization not in [type(layer) for layer in without]
    assert all(layer.use_bias for layer in without if isinstance(layer, kinds))


def test_the_cnn_has_a_convolution_for_each_value():
    values = {"filters": [4, 6, 8], "kernels": [3, 5, 2], "strides": [1, 2, 1]}
    network = tiny_network("cnn", **values, dropout=0.2)
    found = [each for each in network.layers if isinstance(each, keras.layers.Conv2D)]
    assert [each.filters for each in found] == [4, 6, 8]
    assert [each.kernel_size for each in found] == [(3, 3), (5, 5), (2, 2)]
    assert [each.strides for each in found] == [(1, 1), (2, 2), (1, 1)]
    # 12 x 10 trimmed by the first kernel, halved by the stride, trimmed again
    assert [each.output.shape[1:] for each in found] == [(10, 8, 4), (5, 4, 6), (4, 3, 8)]
    dropouts = [name for name in names_of(network) if "dropout" in name]
    assert dropouts == ["dropout_2", "dropout_3"]


def test_a_cnn_too_deep_for_its_images_is_refused_with_kernels_that_fit():
    values = {"filters": [4, 6, 8, 8], "kernels": [3, 5, 9, 3], "strides": [1, 2, 1, 1]}
    with pytest.raises(UserError) as refused:
        tiny_network("cnn", **values)
    assert str(refused.value).startswith(
        "model.cnn: the layers before leave 5 x 4 pixels of an image to layer 3 with a kernel of 9."
        " Kernels that fit images of 12 x 10 pixels: [3, 5, 4, 1]."
    )
    assert tiny_network("cnn", **values | {"kernels": [3, 5, 4, 1]})


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_takes_images_in_colour(name):
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE, 3), dtype=np.uint8)
    network = build_network(name, (*SHAPE, 3), len(CLASSES), **tiny_block(name))
    grey = tiny_network(name)
    assert network.predict(images, verbose=0).shape == (5, len(CLASSES))
    # The first layer sees three values a pixel; a backbone sees them in any case.
    assert (network.count_params() > grey.count_params()) == (name != "pretrained")
    assert [layer for layer in names_of(grey) if layer != "grey"] == names_of(network)


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (64, 64), (128, 128, 3), (97, 128, 3)])
def test_the_default_cnn_has_few_weights_for_images_of_any_size(shape):
    with keras.StatelessScope(initialize_variables=False):
        network = build_network("cnn", shape, 1000, **ARTICLE["model"]["cnn"])
    assert network.count_params() < 500_000
    last = "flatten" if shape[0] == 28 else "mean"  # 28 x 28 keeps the layers that it always had
    assert names_of(network)[-2] == last
    assert ("grey" in names_of(network)) == (len(shape) == 2)


def test_an_average_is_the_mean_of_its_members():
    images, _labels = tiny_images(7, seed=0)
    members = [tiny_network("mlp"), tiny_network("mlp"), tiny_network("mlp")]
    ensemble = average_networks(members)
    expected = np.mean([member.predict(images, verbose=0) for member in members], axis=0)
    np.testing.assert_allclose(ensemble.predict(images, verbose=0), expected, atol=1e-6)
    assert ensemble.count_params() == 3 * members[0].count_params()


def test_a_single_network_is_its_own_average():
    network = tiny_network()
    assert average_networks([network]) is network
