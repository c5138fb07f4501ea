"""Networks that begin with a pretrained backbone: trained, joined, saved."""

import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import CLASSES, augmentation, tiny_images, tiny_model, training

from stages.shared.onnx_model import load_model, predict
from stages.train.fitting import Method
from stages.train.members import (
    count_epochs,
    describe_network,
    fit,
    fit_members,
    join_members,
    judge_images,
    make_method,
)
from stages.train.onnx_graph import make_onnx, refuse_unknown_layers
from stages.train.pretrained import make_reader
from stages.train.saving import save_model

TRAINING, VALIDATION = tiny_images(48, seed=1), tiny_images(21, seed=2)
OPTIONS = {"epochs": 8, "batch_size": 8, "learning_rate": 0.01}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_reader.cache_clear()
    yield tmp_path / "cache/dvc-image-pipeline/features.sqlite"
    make_reader.cache_clear()


def method(train: dict | None = None, **block: object) -> Method:
    model = tiny_model("pretrained", **block)
    return make_method(model, training(**OPTIONS | (train or {})), TRAINING, VALIDATION, 9)


def run(made: Method, scratch: Path, seed: int = 3) -> tuple[keras.Model, dict]:
    networks, histories = fit_members(made, [TRAINING], VALIDATION, seed, scratch)
    return join_members(made, networks), histories[0]


def bytes_of(network: keras.Model, folder: Path) -> str:
    save_model(network, folder / "model.keras")
    return hashlib.sha256((folder / "model.keras").read_bytes() + make_onnx(network)).hexdigest()


@pytest.mark.parametrize("block", [{}, {"tuned_blocks": 1, "tuned_epochs": 2}])
def test_the_whole_network_is_saved_learns_and_says_what_its_onnx_file_says(block, tmp_path):
    made = method(**block)
    network, history = run(made, tmp_path)
    refuse_unknown_layers(network)
    assert history.keys() == {"accuracy", "loss", "validation_accuracy", "validation_loss"}
    assert len(history["loss"]) == 8 + block.get("tuned_epochs", 0)
    images, labels = VALIDATION
    save_model(network, tmp_path / "model.keras")
    expected = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(images)
    found = predict(load_model(make_onnx(network)), images)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-3)
    assert (found.argmax(axis=1) == labels).mean() > 0.6
    assert [line[:18] for line in describe_network(made, network)["weights"]] == [
        "efficientnet_lite0"
    ]


@pytest.mark.parametrize("cache", ["empty", "full", "half", "damaged", "none"])
def test_the_cache_changes_no_byte(cache, own_cache, tmp_path, monkeypatch):
    views = {"views": 2, "dropout": 0.3}
    train = {"augmentation": vars(augmentation(rotation=30))}
    first = bytes_of(run(method(train, **views), tmp_path / "first")[0], tmp_path)
    match cache:
        case "empty":
            own_cache.unlink()
        case "half":
            own_cache.unlink()
            make_reader.cache_clear()
            make_reader(method().pretrained).read(TRAINING[0][5:20])
        case "damaged":
            content = bytearray(own_cache.read_bytes())
            content[40_000:60_000] = bytes(20_000)
            own_cache.write_bytes(content)
        case "none":
            monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    make_reader.cache_clear()
    assert bytes_of(run(method(train, **views), tmp_path / "again")[0], tmp_path) == first


def test_other_values_are_another_network(tmp_path):
    def network_of(name: str, train: dict, **block: object) -> str:
        return bytes_of(run(method(train, **block), tmp_path / name)[0], tmp_path)

    turned = {"augmentation": vars(augmentation(rotation=30))}
    made = [
        network_of("plain", {}),
        network_of("dropout", {}, dropout=0.5),
        network_of("views", turned, views=2),
        network_of("turned", {"augmentation": vars(augmentation(rotation=60))}, views=2),
        network_of("weights", {"class_weight": "balanced"}),
        network_of("side", {}, side=64),
    ]
    # All classes have as many images, so weights change nothing.
    assert len(set(made)) == 5
    assert made[4] == made[0]


def test_frozen_members_share_one_backbone(tmp_path):
    networks, _ = fit_members(method({"members": 3}), [TRAINING], VALIDATION, 0, tmp_path)
    joined = join_members(method(), networks)
    alone = join_members(method(), networks[:1])
    assert joined.count_params() - alone.count_params() == 2 * (1280 + 1) * len(CLASSES)
    images = VALIDATION[0]
    expected = np.mean([judge_images(method(), each, images) for each in networks], axis=0)
    np.testing.assert_allclose(predict(load_model(make_onnx(joined)), images), expected, atol=1e-6)


@pytest.mark.slow
def test_tuned_members_are_whole_networks(tmp_path):
    tuned = method({"members": 2}, tuned_blocks=2, tuned_epochs=1)
    networks, _ = fit_members(tuned, [TRAINING], VALIDATION, 0, tmp_path)
    joined = join_members(tuned, networks)
    expected = np.mean([each.predict_on_batch(VALIDATION[0]) for each in networks], axis=0)
    found = predict(load_model(make_onnx(joined)), VALIDATION[0])
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-3)


def frozen_weights(network: keras.Model, tuned: int) -> list[np.ndarray]:
    backbone = network.get_layer("backbone")
    names = [f"block_{number}_project" for number in range(16 - tuned)]
    return [array for name in ["stem", *names] for array in backbone.get_layer(name).get_weights()]


def test_tuning_changes_the_last_blocks_alone(tmp_path):
    made = method(tuned_blocks=2, tuned_epochs=1)
    before = join_members(method(), [fit(method(), [TRAINING], None, 0, tmp_path / "h")[0]])
    after, _ = fit(made, [TRAINING], None, 0, tmp_path / "t")
    for old, new in zip(frozen_weights(before, 2), frozen_weights(after, 2), strict=True):
        np.testing.assert_array_equal(old, new)
    for name in ("block_14_expand", "block_15_project", "top"):
        old, new = (each.get_layer("backbone").get_layer(name) for each in (before, after))
        assert not np.array_equal(old.kernel, new.kernel)


class Stop(keras.callbacks.Callback):
    """A kill after an epoch, once its checkpoint is written."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, _logs: object = None) -> None:
        if epoch == self.epoch:
            raise InterruptedError


@pytest.mark.slow
@pytest.mark.parametrize("block", [{}, {"tuned_blocks": 1, "tuned_epochs": 3}])
def test_an_interrupted_training_ends_with_the_same_bytes(block, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("stages.train.checkpoints.CHECKPOINT_SECONDS", 0.0)
    made = method({"augmentation": vars(augmentation(rotation=30))}, dropout=0.3, **block)
    whole = bytes_of(run(made, tmp_path / "whole", seed=0)[0], tmp_path)
    with pytest.raises(InterruptedError):
        fit(made, [TRAINING], VALIDATION, 0, tmp_path / "killed/0", [Stop(1)])
    capsys.readouterr()
    assert bytes_of(run(made, tmp_path / "killed", seed=0)[0], tmp_path) == whole
    assert "resuming after epoch 2" in capsys.readouterr().out


def test_watchers_see_the_last_training(tmp_path):
    made = method(tuned_blocks=1, tuned_epochs=2)
    seen: list[int] = []
    watcher = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: seen.append(epoch))
    fit(made, [TRAINING], VALIDATION, 0, tmp_path, [watcher])
    assert seen == [0, 1]
    assert (count_epochs(made), count_epochs(method())) == (2, 8)


def test_a_training_part_of_one_image_a_class(tmp_path):
    few = (TRAINING[0][:3], TRAINING[1][:3])
    made = make_method(tiny_model("pretrained"), training(**OPTIONS), few, few, 0)
    network, _ = fit(made, [few], few, 0, tmp_path)
    assert judge_images(made, network, few[0]).shape == (3, len(CLASSES))


def test_images_that_a_list_gives_block_by_block(tmp_path):
    """As the audit has them: no array, but indexed like one."""
    images, labels = TRAINING

    class Blocks:
        shape, dtype, ndim = images.shape, images.dtype, 3
        __len__ = staticmethod(lambda: len(images))
        __getitem__ = staticmethod(lambda rows: images[rows])

    part = (Blocks(), labels)
    made = make_method(tiny_model("pretrained"), training(**OPTIONS), part, part, 0)
    found, _ = fit(made, [part], None, 0, tmp_path / "blocks")
    expected, _ = fit(made, [TRAINING], None, 0, tmp_path / "array")
    np.testing.assert_array_equal(*(each.get_weights()[0] for each in (found, expected)))


def test_an_augmentation_that_no_image_gets_is_said(tmp_path, capsys):
    turned = {"augmentation": vars(augmentation(rotation=30)), "epochs": 1}
    said = "train.augmentation changes nothing here"
    for train, block, expected in [
        (turned, {}, True),
        (turned, {"views": 2}, False),
        ({"epochs": 1}, {}, False),
    ]:
        fit(method(train, **block), [TRAINING], None, 0, tmp_path / str(block) / str(train))
        assert (said in capsys.readouterr().out) == expected
