"""evaluate: what it writes about a model and its test images."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, make_section, tiny_block, tiny_dataset, tiny_files, tiny_images

from stages.evaluate.main import main, scores_on_test, write_json
from stages.plots.reports import read_json
from stages.run.params import Dataset
from stages.shared.errors import UserError
from stages.train.architectures import build_network
from stages.train.saving import save_model

IMAGES, LABELS = tiny_images(30, seed=2)
DATASET = make_section(Dataset, **tiny_dataset(tiny_files(), sources=[]))

# Two images of each of two classes; the last is wrong.
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], np.float32)
TRUTH = np.array([0, 1, 0, 1], np.uint8)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Trained a little, so that it is neither always right nor always wrong."""
    keras.utils.set_random_seed(0)
    block = tiny_block("mlp", units=[8], dropout=[0.0])
    model = build_network("mlp", SHAPE, len(CLASSES), **block)
    model.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy")
    model.fit(*tiny_images(60, seed=1), epochs=4, verbose=0)
    return model


@pytest.fixture(scope="module")
def finished(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which evaluate has run: models, processed and reports."""
    folder = tmp_path_factory.mktemp("evaluate")
    save_model(model, folder / "models" / "model.keras")
    (folder / "processed").mkdir()
    np.save(folder / "processed" / "x_test.npy", IMAGES)
    np.save(folder / "processed" / "y_test.npy", LABELS)
    main(*(folder / name for name in ("models", "processed", "reports")), DATASET)
    return folder


def test_the_reports_are_written_and_nothing_else(finished):
    assert {path.name for path in (finished / "reports").iterdir()} == {
        "test.json", "confusion.json", "classes.json", "reliability.json", "probabilities_test.npy",
    }  # fmt: skip


def test_the_probabilities_are_those_of_the_model(finished, model):
    probabilities = np.load(finished / "reports" / "probabilities_test.npy")
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (30, len(CLASSES))
    np.testing.assert_allclose(probabilities, model.predict(IMAGES, verbose=0), atol=1e-6)


def test_the_scores_are_those_of_the_probabilities(finished):
    probabilities = np.load(finished / "reports" / "probabilities_test.npy")
    scores = read_json(finished / "reports" / "test.json")
    wrong = int((probabilities.argmax(axis=1) != LABELS).sum())
    assert 0 < wrong < 30
    assert scores["error_count"] == wrong
    assert scores["accuracy"] == round(1 - wrong / 30, 4)
    assert scores == scores_on_test(probabilities, LABELS, suspect_labels=[0])


def test_the_confusion_counts_every_test_image_in_the_classes_order(finished):
    rows = read_json(finished / "reports" / "confusion.json")
    pairs = [(actual, predicted) for actual in CLASSES for predicted in CLASSES]
    assert [(row["actual"], row["predicted"]) for row in rows] == pairs
    assert sum(row["count"] for row in rows) == 30
    counts = np.array([row["count"] for row in rows]).reshape(3, 3)
    assert counts.sum(axis=1).tolist() == np.bincount(LABELS).tolist()
    right = np.trace(counts)
    assert 30 - right == read_json(finished / "reports" / "test.json")["error_count"]


def test_the_classes_have_a_row_each_in_order(finished):
    rows = read_json(finished / "reports" / "classes.json")
    assert [row["class"] for row in rows] == CLASSES
    assert [row["support"] for row in rows] == np.bincount(LABELS).tolist()


def test_the_reliability_counts_every_test_image(finished):
    assert sum(row["count"] for row in read_json(finished / "reports" / "reliability.json")) == 30


def test_the_scores_are_printed(finished, capsys):
    folders = (finished / name for name in ("models", "processed", "reports"))
    main(*folders, DATASET)
    scores = read_json(finished / "reports" / "test.json")
    assert capsys.readouterr().out == "".join(f"test {k}: {v}\n" for k, v in scores.items())


def test_the_scores_of_a_small_example():
    scores = scores_on_test(PROBABILITIES, TRUTH, suspect_labels=[])
    by_hand = -(np.log(0.9) + np.log(0.8) + np.log(0.7) + np.log(0.4)) / 4
    assert scores == {
        "accuracy": 0.75,
        "accuracy_low": 0.3006,  # Wilson's, 3 of 4
        "accuracy_high": 0.9544,
        "accuracy_trusted": 0.75,
        "error_count": 1,
        "loss": round(by_hand, 4),
        "macro_f1": round((4 / 5 + 2 / 3) / 2, 4),
        "calibration_error": round((0.1 + 0.2 + 0.3 + 0.6) / 4, 4),  # one image a bin
    }


@pytest.mark.parametrize(("suspect", "trusted"), [([3], 1.0), ([0], 0.6667), ([0, 3], 1.0)])
def test_suspect_labels_change_the_trusted_accuracy_alone(suspect, trusted):
    with_all = scores_on_test(PROBABILITIES, TRUTH, suspect_labels=[])
    scores = scores_on_test(PROBABILITIES, TRUTH, suspect_labels=suspect)
    assert scores == with_all | {"accuracy_trusted": trusted}


def test_a_missing_model_is_an_error_before_anything_is_written(finished, tmp_path):
    with pytest.raises(UserError, match=r"model\.keras is missing"):
        main(tmp_path, finished / "processed", tmp_path / "reports", DATASET)
    assert list(tmp_path.iterdir()) == []


# JSON


@pytest.mark.parametrize("value", [{"accuracy": 0.98, "wrong": 3}, [], [{"class": "Ä", "n": None}]])
def test_json_comes_back_as_it_was(tmp_path, value):
    write_json(tmp_path / "file.json", value)
    assert read_json(tmp_path / "file.json") == value


def test_json_is_a_text_file_with_a_line_a_value_in_the_given_order(tmp_path):
    write_json(tmp_path / "file.json", {"b": 1, "a": 0.5})
    assert (tmp_path / "file.json").read_bytes() == b'{\n  "b": 1,\n  "a": 0.5\n}\n'


def test_a_value_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "file.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", {"a": {1, 2}})
    assert read_json(tmp_path / "file.json") == {"a": 1}
    assert len(list(tmp_path.iterdir())) == 1


# What is no number


@pytest.mark.parametrize("scale", [3e38, 1e30])
def test_weights_that_give_no_probabilities_are_refused(model, finished, tmp_path, scale):
    """Finite weights may overflow; no NaN is written, and the remedy is named."""
    large = keras.models.clone_model(model)
    large.set_weights([np.full_like(weights, scale) for weights in model.get_weights()])
    save_model(large, tmp_path / "models" / "model.keras")
    with pytest.raises(UserError, match=r"no finite numbers.*train\.learning_rate"):
        main(tmp_path / "models", finished / "processed", tmp_path / "reports", DATASET)
    assert not (tmp_path / "reports").exists()


def test_test_labels_that_are_all_suspect_leave_no_score():
    with pytest.raises(UserError, match="leaves no test image to score"):
        scores_on_test(PROBABILITIES, TRUTH, [0, 1, 2, 3])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_has_no_word_for_is_not_written(tmp_path, value):
    with pytest.raises(UserError, match=r"test\.json: expected finite numbers"):
        write_json(tmp_path / "test.json", {"rows": [{"loss": value}]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("x_test", IMAGES[:, 1:], "expected images of 12 x 10 pixels as the model takes them"),
        ("y_test", LABELS + 1, "expected labels from 0 to 2; found 1 to 3"),
        ("y_test", LABELS[1:], "expected 30 labels"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(finished, tmp_path, name, array, message):
    folder = shutil.copytree(finished / "processed", tmp_path / "processed")
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(UserError, match=message):
        main(finished / "models", folder, tmp_path / "reports", DATASET)
    assert not (tmp_path / "reports").exists()
