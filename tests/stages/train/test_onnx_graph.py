"""The ONNX file beside Keras, and beside Keras' own export, for every network and option."""

import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from conftest import (
    CLASSES,
    NETWORKS,
    ROOT,
    SHAPE,
    normalization,
    tiny_block,
    tiny_images,
    training,
)
from keras import layers

from stages.shared.errors import UserError
from stages.shared.onnx_model import load_model, predict
from stages.train.architectures import average_networks, build_network
from stages.train.backbone import load_weights
from stages.train.fitting import Method, fit_network
from stages.train.onnx_graph import OPERATORS, PRODUCER, make_onnx, refuse_unknown_layers

GREY, LABELS = tiny_images(40, seed=3)
COLOUR = np.random.default_rng(0).integers(0, 256, (40, *SHAPE, 3), dtype=np.uint8)
LARGE = (
    np.random.default_rng(1).integers(0, 256, (10, 33, 30)) // np.arange(1, 11)[:, None, None]
).astype(np.uint8)

CNN_OPTIONS = {
    "padding on one side": {"filters": [4, 6], "kernels": [3, 2], "strides": [2, 3]},
    "odd strides": {"filters": [4, 6], "kernels": [5, 4], "strides": [3, 2]},
    "kernels below strides": {"filters": [4, 6], "kernels": [1, 2], "strides": [2, 3]},
    "a deep one": {"filters": [4, 4, 8], "kernels": [3, 3, 3], "strides": [1, 1, 2]},
    "dropout": {"dropout": 0.5},
}


def network(name: str, images: np.ndarray, seed: int = 0, **changes: object) -> keras.Model:
    """A network whose every variable is random: also those that start as 0 or 1."""
    keras.utils.set_random_seed(seed)
    block = tiny_block(name, **changes)
    if "units" in changes:
        block["dropout"] = [0.0] * len(block["units"])
    made = build_network(name, images.shape[1:], len(CLASSES), **block)
    random = np.random.default_rng(seed)
    if name == "pretrained":  # so deep that random weights would tell no image apart
        load_weights(made.get_layer("backbone"), "efficientnet_lite0")
        return made
    for variable in made.variables:
        noise = random.uniform(0.5, 1.5, variable.shape)
        if len(variable.shape) == 1:
            variable.assign(noise * (1 if "variance" in variable.path else 0.3))
    return made


def probabilities(content: bytes, images: np.ndarray) -> np.ndarray:
    return predict(load_model(content), images)


def assert_like_keras(made: keras.Model, images: np.ndarray) -> None:
    content = make_onnx(made)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    refuse_unknown_layers(made)
    expected = made.predict_on_batch(images)
    found = probabilities(content, images)
    assert np.ptp(expected, axis=0).max() > 1e-3  # it tells images apart
    tolerance = 2e-5 if made.count_params() > 3_000_000 else 2e-6  # a backbone has 50 layers
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("images", [GREY, COLOUR, LARGE], ids=["grey", "colour", "large"])
@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_gives_what_keras_gives(name, on, images):
    assert_like_keras(network(name, images, **normalization(name, on)), images)


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("option", CNN_OPTIONS)
def test_each_option_of_convolutions_gives_what_keras_gives(option, images):
    assert_like_keras(network("cnn", images, **CNN_OPTIONS[option]), images)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_ensemble_is_one_file(name):
    members = [network(name, GREY, seed) for seed in range(3)]
    expected = np.mean([member.predict_on_batch(GREY) for member in members], axis=0)
    ensemble = average_networks(members)
    assert_like_keras(ensemble, GREY)
    np.testing.assert_allclose(probabilities(make_onnx(ensemble), GREY), expected, atol=2e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_gives_what_keras_own_export_gives(name, tmp_path):
    """Keras exports with tf2onnx."""
    import onnxruntime  # noqa: PLC0415

    made = network(name, COLOUR, **normalization(name))
    made(COLOUR[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tf2onnx's
        made.export(tmp_path / "keras.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "keras.onnx")
    (expected,) = session.run(None, {session.get_inputs()[0].name: COLOUR})
    np.testing.assert_allclose(probabilities(make_onnx(made), COLOUR), expected, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_trained_in_bfloat16_gives_what_keras_gives(name, tmp_path):
    options = training(precision="mixed_bfloat16", epochs=2)
    method = Method(lambda: network(name, GREY), options)
    made, _ = fit_network(method, [(GREY, LABELS)], None, 0, tmp_path)
    assert_like_keras(made, GREY)


def test_the_file_says_what_goes_in_and_what_comes_out():
    model = onnx.load_from_string(make_onnx(network("cnn", COLOUR)))
    (taken,), (given) = model.graph.input, model.graph.output
    assert (taken.name, given[0].name) == ("images", "probabilities")
    sizes = [size.dim_param or size.dim_value for size in taken.type.tensor_type.shape.dim]
    assert sizes == ["batch", *SHAPE, 3]
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPERATORS)]
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said.keys() == {"classes", "graph_sha256"}
    assert said["classes"] == "3"
    assert model.producer_name == PRODUCER
    assert not model.doc_string


@pytest.mark.parametrize("name", NETWORKS)
def test_the_bytes_are_the_same_in_every_process(name, tmp_path):
    """Whatever Python's hashes are, and whatever was built before."""
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}, "
        f"{str(Path(__file__).parent)!r}]\n"
        "import hashlib, test_onnx_graph as t\n"
        f"made = t.average_networks([t.network({name!r}, t.GREY, seed) for seed in (0, 1)])\n"
        "print(hashlib.md5(t.make_onnx(made)).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "KERAS_BACKEND": "tensorflow", "HOME": str(tmp_path)},
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()[-1]
        for seed in ("0", "1")
    }  # fmt: skip
    assert len(found) == 1


def test_a_flipped_bit_anywhere_in_the_weights_is_refused():
    content = make_onnx(network("mlp", GREY))
    for place in range(300, len(content) - 300, 101):
        damaged = bytearray(content)
        damaged[place] ^= 1
        with pytest.raises(ValueError, match=r"does not fit its checksum|cut off or damaged"):
            load_model(bytes(damaged))


class Stranger(layers.Layer):
    def call(self, x: object) -> object:
        return x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Stranger(name="odd"), "odd: a layer Stranger has no ONNX form here"),
        (layers.ReLU(6.0, 0.1, name="six"), r"six: a layer ReLU with negative_slope = 0.1"),
        (layers.Dense(4, "gelu", name="g"), "g: a layer Dense with activation = gelu"),
        (layers.Dense(4, name="rows"), "rows: a layer Dense on 3 dimensions"),
        (layers.Permute((2, 1), name="p"), r"p: a layer Permute has no ONNX form here"),
    ],
)
def test_a_layer_without_an_onnx_form_is_refused(layer, message):
    images = keras.Input(SHAPE, dtype="uint8")
    x = layers.Rescaling(1 / 255)(images)
    made = keras.Model(images, layers.Flatten()(layer(x)))
    with pytest.raises(UserError, match=message):
        refuse_unknown_layers(made)
    ensemble = average_networks([made, keras.models.clone_model(made)])
    with pytest.raises(UserError, match=message):
        refuse_unknown_layers(ensemble)


def test_more_weights_than_a_file_holds_are_refused():
    made = network("mlp", GREY)
    members = 2_100_000_000 // 4 // made.count_params()
    with pytest.raises(UserError, match=r"model\.mlp: .* weights are 2\.1 GB.*train\.members"):
        refuse_unknown_layers(made, members)
