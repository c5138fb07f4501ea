"""Loading the model's file: what train wrote opens, and everything else is refused."""

import io
import json
import pickle
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, normalization, tiny_block, tiny_images

from stages.evaluate.model_file import load_model
from stages.shared.errors import UserError
from stages.train.architectures import ARCHITECTURES, average_networks, build_network
from stages.train.saving import save_model

IMAGES, _LABELS = tiny_images(12, seed=5)


def network(name: str = "mlp", **block: object) -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_network(name, SHAPE, len(CLASSES), **tiny_block(name, **block))


def predict(model: keras.Model) -> np.ndarray:
    return model.predict(IMAGES, verbose=0)


# Files that train wrote


def test_a_saved_model_can_be_saved_again_in_the_same_bytes(tmp_path):
    save_model(network(), tmp_path / "once.keras")
    save_model(load_model(tmp_path / "once.keras"), tmp_path / "again.keras")
    assert (tmp_path / "once.keras").read_bytes() == (tmp_path / "again.keras").read_bytes()


@pytest.mark.parametrize("normalized", [True, False], ids=["normalized", "with biases"])
def test_an_ensemble_of_every_network_comes_back_as_it_was(tmp_path, normalized):
    """So every kind of layer that the project builds may be loaded."""
    members = [network(name, **normalization(name, normalized)) for name in ARCHITECTURES]
    model = average_networks(members)
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(predict(loaded), predict(model))


# Missing and damaged files


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(UserError, match=r"model\.keras is missing: `dvc checkout` .*, `dvc repro`"):
        load_model(tmp_path / "model.keras")


def with_directory_byte(whole: bytes, place: int, value: int) -> bytes:
    """A zip file whose directory says something else about its first member."""
    changed = bytearray(whole)
    changed[whole.index(b"PK\x01\x02") + place] = value
    return bytes(changed)


@pytest.mark.parametrize(
    "damaged",
    [
        lambda _whole: b"",
        lambda _whole: b"garbage",
        lambda whole: whole[:-100],
        lambda whole: whole[:100] + b"?" + whole[101:],
        lambda whole: with_directory_byte(whole, 8, 1),
        lambda whole: with_directory_byte(whole, 6, 99),
    ],
    ids=["empty", "garbage", "cut", "one byte changed", "called encrypted", "of a later version"],
)
def test_a_damaged_file_is_refused(tmp_path, damaged):
    path = tmp_path / "model.keras"
    save_model(network(), path)
    path.write_bytes(damaged(path.read_bytes()))
    with pytest.raises(
        UserError, match=r"model\.keras: not a model that this project wrote.*repro"
    ):
        load_model(path)


def test_another_zip_file_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "not a model")
    with pytest.raises(
        UserError, match=r"expected the members metadata\.json, config\.json.*letter"
    ):
        load_model(path)


# Files made to do harm


def write_changed(path: Path, **changes: object) -> None:
    """Save a model and replace members of its file: config by a function of it, weights, extra."""
    save_model(network(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if "config" in changes:
        config = json.loads(members["config.json"])
        changes["config"](config)
        members["config.json"] = json.dumps(config).encode()
    members["model.weights.h5"] = changes.get("weights", members["model.weights.h5"])
    members |= changes.get("extra", {})
    with zipfile.ZipFile(path, "w", changes.get("compression", zipfile.ZIP_STORED)) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def layer(config: dict, name: str) -> dict:
    return next(each for each in config["config"]["layers"] if each["name"] == name)


def as_lambda(config: dict) -> None:
    layer(config, "scale").update(class_name="Lambda", config={"function": "keras.ops.abs"})


def as_foreign_class(config: dict) -> None:
    layer(config, "scale").update(module="os", class_name="system", registered_name="os>system")


def as_function(config: dict) -> None:
    layer(config, "dense_1")["config"]["activation"] = {
        "module": "builtins", "class_name": "function", "config": "eval", "registered_name": "eval",
    }  # fmt: skip


def as_huge(config: dict) -> None:
    layer(config, "probabilities")["config"]["units"] = 10**9


def hdf5(**arrays: object) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, options in arrays.items():
            file.create_dataset(name, **options)
    return content.getvalue()


BOMB = {"shape": (10**9,), "dtype": "f4", "compression": "gzip", "chunks": (1000,)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": as_lambda}, r"the class keras\.layers\.Lambda is not one of its layers"),
        ({"config": as_foreign_class}, r"the class os\.system is not one of its layers"),
        ({"config": as_function}, r"the class builtins\.function is not one of its layers"),
        ({"config": as_huge}, r"weights are configured, more than [\d,]+ bytes can hold"),
        ({"extra": {"../outside": b""}}, r"expected the members .*found .*outside"),
        ({"extra": {"assets/code.py": b""}}, r"expected the members"),
        ({"compression": zipfile.ZIP_DEFLATED}, "found compressed ones"),
        ({"weights": hdf5(layers=BOMB)}, "the weights layers are not stored as they are"),
        ({"weights": pickle.dumps(print)}, "not a model"),
    ],
)
def test_a_harmful_file_is_refused_before_anything_is_built(tmp_path, changes, message):
    path = tmp_path / "folder" / "model.keras"
    write_changed(path, **changes)
    with pytest.raises(UserError, match=message):
        load_model(path)
    assert [each.name for each in tmp_path.rglob("*")] == ["folder", "model.keras"]


def test_an_hdf5_file_or_a_pickle_under_its_name_is_refused(tmp_path):
    for content in (hdf5(weights={"data": [1.0]}), pickle.dumps(print)):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(UserError, match="expected a zip file, found a file that starts with"):
            load_model(tmp_path / "model.keras")


def test_a_weight_that_is_no_number_is_refused(tmp_path):
    model = network()
    model.get_layer("dense_1").kernel.assign(np.full((120, 8), np.nan))
    save_model(model, tmp_path / "model.keras")
    with pytest.raises(UserError, match="a weight is not a finite number"):
        load_model(tmp_path / "model.keras")
