"""The bytes of the model's file, and that plain Keras opens it without this project."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import CLASSES, ROOT, SHAPE, tiny_block, tiny_images

from stages.shared.atomic_write import atomic_write
from stages.train import saving
from stages.train.architectures import build_network
from stages.train.saving import save_model, save_models

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
from stages.train.saving import save_model
from test_saving import network
save_model(network(), Path("saved.keras"))
"""


def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_network("mlp", SHAPE, len(CLASSES), **tiny_block("mlp"))


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """A network whose optimizer has a state."""
    model = network()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(IMAGES, LABELS, epochs=1, verbose=0)
    return model


def predict(model: keras.Model) -> np.ndarray:
    return model.predict(IMAGES, verbose=0)


@pytest.fixture(scope="module")
def elsewhere(trained: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, with nothing of the project in it, where another Python ran ELSEWHERE."""
    folder = tmp_path_factory.mktemp("elsewhere")
    save_model(trained, folder / "model.keras")
    np.save(folder / "images.npy", IMAGES)
    done = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, ROOT, ROOT / "tests", Path(__file__).parent],
        cwd=folder, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_same_network_gives_the_same_bytes(tmp_path):
    first, second = tmp_path / "first" / "model.keras", tmp_path / "second" / "model.keras"
    save_model(network(), first)
    keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])  # counts up Keras' names
    save_model(network(), second)
    assert first.read_bytes() == second.read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path, elsewhere):
    save_model(network(), tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == (elsewhere / "saved.keras").read_bytes()


def test_other_weights_give_other_bytes(tmp_path, trained):
    save_model(network(), tmp_path / "one.keras")
    save_model(trained, tmp_path / "other.keras")
    assert (tmp_path / "one.keras").read_bytes() != (tmp_path / "other.keras").read_bytes()


def test_training_leaves_no_trace_but_weights(tmp_path, trained):
    """No optimizer: three times the size, and of no use to someone who predicts."""
    bare = network()
    bare.set_weights(trained.get_weights())
    save_model(trained, tmp_path / "trained.keras")
    save_model(bare, tmp_path / "bare.keras")
    assert (tmp_path / "trained.keras").read_bytes() == (tmp_path / "bare.keras").read_bytes()
    assert not hasattr(keras.saving.load_model(tmp_path / "trained.keras"), "optimizer")
    assert trained.optimizer.iterations == 1  # the network itself keeps its optimizer


def test_weights_and_probabilities_survive(tmp_path, trained):
    save_model(trained, tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for before, after in zip(trained.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(predict(trained), predict(loaded))


def test_plain_keras_opens_it_without_this_project(elsewhere):
    here = predict(keras.saving.load_model(elsewhere / "model.keras"))
    np.testing.assert_allclose(np.load(elsewhere / "probabilities.npy"), here, atol=1e-6)


def test_saving_leaves_the_model_alone_in_its_folder(tmp_path):
    save_model(network(), tmp_path / "models" / "model.keras")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["model.keras"]


@pytest.mark.parametrize("step", ["before model.keras", "before model.onnx"])
def test_a_kill_between_the_two_files_leaves_no_unlike_pair(tmp_path, trained, monkeypatch, step):
    save_models(network(), b"first", tmp_path)
    before = (tmp_path / "model.keras").read_bytes()
    calls = []

    def write(path):
        calls.append(path.name)
        if f"before {path.name}" == step:
            raise KeyboardInterrupt
        return atomic_write(path)

    monkeypatch.setattr(saving, "atomic_write", write)
    with pytest.raises(KeyboardInterrupt):
        save_models(trained, b"second", tmp_path)
    assert calls == ["model.keras", "model.onnx"][: 1 if "keras" in step else 2]
    assert ((tmp_path / "model.keras").read_bytes() == before) == ("keras" in step)
    assert not (tmp_path / "classifier/model.onnx").exists()
