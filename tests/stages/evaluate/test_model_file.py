"""The model's file: its bytes, and that it opens without this project."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from conftest import CLASSES, ROOT, SHAPE, tiny_images

from stages.evaluate.model_file import load_model
from stages.shared.errors import UserError
from stages.train.architectures import average_networks, build_network
from stages.train.saving import save_model

IMAGES, LABELS = tiny_images(12, seed=5)

# First what someone else does with the file: plain Keras, no project on the path. Then the same
# Python gets the project and saves: another process with another history (Keras' import is slow).
ELSEWHERE = """
import sys
import keras, numpy
model = keras.saving.load_model("model.keras")
numpy.save("probabilities.npy", model.predict(numpy.load("images.npy"), verbose=0))
assert not any(name.partition(".")[0] == "stages" for name in sys.modules)

from pathlib import Path
sys.path[:0] = sys.argv[1:]
from stages.saving import save_model
from test_saving import network
save_model(network(), Path("saved.keras"))
"""


def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    block = {"units": [8, 4], "dropout": [0.2, 0.0], "batch_normalization": False}
    return build_network("mlp", SHAPE, len(CLASSES), **block)


def ensemble() -> keras.Model:
    """A network with every kind of layer that the project has."""
    block = {
        "filters": [4, 8], "kernels": [3, 3], "strides": [1, 2],
        "dropout": 0.2, "batch_normalization": True,
    }  # fmt: skip
    return average_networks([build_network("cnn", SHAPE, len(CLASSES), **block), network()])


def trained_network() -> keras.Model:
    """A network whose optimizer has a state."""
    model = network()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(IMAGES, LABELS, epochs=1, verbose=0)
    return model


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, with nothing of the project in it, where another Python did ELSEWHERE."""
    folder = tmp_path_factory.mktemp("elsewhere")
    save_model(trained_network(), folder / "model.keras")
    np.save(folder / "images.npy", IMAGES)
    done = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, ROOT, ROOT / "tests"],
        cwd=folder, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_same_network_is_the_same_bytes(tmp_path):
    first, second = tmp_path / "first" / "model.keras", tmp_path / "second" / "model.keras"
    save_model(network(), first)
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])  # counts up Keras' names
    save_model(network(), second)
    assert first.read_bytes() == second.read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path, elsewhere):
    save_model(network(), tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == (elsewhere / "saved.keras").read_bytes()


def test_a_saved_model_can_be_saved_again_in_the_same_bytes(tmp_path):
    save_model(network(), tmp_path / "once.keras")
    save_model(load_model(tmp_path / "once.keras"), tmp_path / "again.keras")
    assert (tmp_path / "once.keras").read_bytes() == (tmp_path / "again.keras").read_bytes()


def test_every_layer_of_the_project_may_be_loaded(tmp_path):
    keras.utils.set_random_seed(3)
    model = ensemble()
    save_model(model, tmp_path / "model.keras")
    np.testing.assert_array_equal(
        load_model(tmp_path / "model.keras").predict(IMAGES, verbose=0),
        model.predict(IMAGES, verbose=0),
    )


def test_other_weights_are_other_bytes(tmp_path):
    save_model(network(), tmp_path / "one.keras")
    save_model(trained_network(), tmp_path / "other.keras")
    assert (tmp_path / "one.keras").read_bytes() != (tmp_path / "other.keras").read_bytes()


def test_training_leaves_no_trace_but_weights(tmp_path):
    """No optimizer: three times the size, and of no use to someone who predicts."""
    trained, bare = trained_network(), network()
    bare.set_weights(trained.get_weights())
    save_model(trained, tmp_path / "trained.keras")
    save_model(bare, tmp_path / "bare.keras")
    assert (tmp_path / "trained.keras").read_bytes() == (tmp_path / "bare.keras").read_bytes()
    assert not hasattr(keras.saving.load_model(tmp_path / "trained.keras"), "optimizer")
    assert trained.optimizer.iterations == 1  # the network itself keeps its optimizer


def test_weights_and_probabilities_survive(tmp_path):
    model = trained_network()
    save_model(model, tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for before, after in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(
        model.predict(IMAGES, verbose=0), loaded.predict(IMAGES, verbose=0)
    )


def test_plain_keras_opens_it_without_this_project(elsewhere):
    here = load_model(elsewhere / "model.keras").predict(IMAGES, verbose=0)
    np.testing.assert_allclose(np.load(elsewhere / "probabilities.npy"), here, atol=1e-6)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(UserError, match=r"model\.keras is missing: `dvc repro`"):
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


def test_saving_leaves_the_model_alone_in_its_folder(tmp_path):
    save_model(network(), tmp_path / "models" / "model.keras")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["model.keras"]


# Files that someone made to do harm


def rewritten(path: Path, **changes: object) -> None:
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
    rewritten(path, **changes)
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
