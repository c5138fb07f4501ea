"""evaluate: what it writes about a model and its test images."""

import hashlib
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import (
    CLASSES,
    SHAPE,
    make_section,
    tiny_block,
    tiny_dataset,
    tiny_files,
    tiny_images,
    write_parts,
)

from stages.evaluate.main import main, scores_on_test, write_json
from stages.plots.reports import read_confusion, read_json
from stages.run.params import Dataset, Evaluate
from stages.shared.baseline import describe_no_better
from stages.shared.errors import UserError
from stages.train.architectures import build_network
from stages.train.onnx_graph import make_onnx

IMAGES, LABELS = tiny_images(30, seed=2)
TRUSTED = np.where(np.arange(30) == 0, -1, LABELS.astype(np.int32))  # the first one dropped
DATASET = make_section(Dataset, **tiny_dataset(tiny_files(), sources=[]))

# Two images of each of two classes; the last is wrong.
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], np.float32)
TRUTH = np.array([0, 1, 0, 1], np.uint8)
TRAINING = np.array([1, 1, 0], np.uint8)  # labels of the training images


EVALUATE = make_section(Evaluate, accepted_error=0.5)
VALIDATION = tiny_images(300, seed=3)
TRAINING_LABELS = np.array([2, 1, 1, 0], np.uint8)


def write_model(model: keras.Model, folder: Path) -> None:
    (folder / "classifier").mkdir(parents=True)
    (folder / "classifier" / "model.onnx").write_bytes(make_onnx(model))


def write_validation(folder: Path, probabilities: np.ndarray) -> None:
    """What train leaves in reports."""
    (folder / "reports").mkdir(parents=True)
    np.save(folder / "reports" / "probabilities_validation.npy", probabilities)


def run(folder: Path, *, models: Path, processed: Path) -> None:
    """Evaluate on a folder's reports, which have train's already."""
    main(models, processed, folder / "reports", DATASET, EVALUATE)


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
    write_model(model, folder / "models")
    write_parts(folder / "processed", test=(IMAGES, LABELS))
    np.save(folder / "processed" / "y_test_trusted.npy", TRUSTED)
    np.save(folder / "processed" / "y_train.npy", TRAINING_LABELS)
    np.save(folder / "processed" / "y_validation.npy", VALIDATION[1])
    write_validation(folder, model.predict_on_batch(VALIDATION[0]))
    run(folder, models=folder / "models", processed=folder / "processed")
    return folder


def test_the_reports_are_written_and_nothing_else(finished):
    assert {path.name for path in (finished / "reports").iterdir()} == {
        "test.json", "confusion.json", "classes.json", "reliability.json", "probabilities_test.npy",
        "probabilities_validation.npy",
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
    known = scores_on_test(probabilities, LABELS, TRUSTED, TRAINING_LABELS)
    assert scores == known | {key: scores[key] for key in ("coverage", "accepted_error_rate")}


def test_model_json_says_how_to_use_the_model(finished, model):
    said = read_json(finished / "models" / "classifier" / "model.json")
    scores = read_json(finished / "reports" / "test.json")
    confidence = model.predict_on_batch(VALIDATION[0]).max(axis=1)
    probabilities = np.load(finished / "reports" / "probabilities_test.npy")
    assert said == {
        "title": DATASET.title,
        "classes": CLASSES,
        "class_axis": DATASET.class_axis,
        "images": vars(DATASET.images),
        "accuracy": scores["accuracy"],
        "test_images": 30,
        "accepted_error": 0.5,
        "threshold": said["threshold"],
        "coverage": round(float((probabilities.max(axis=1) >= said["threshold"]).mean()), 4),
        "error": scores["accepted_error_rate"],
        "md5": hashlib.md5(make_onnx(model), usedforsecurity=False).hexdigest(),
    }
    assert np.abs(confidence - said["threshold"]).min() < 1e-6
    assert said["coverage"] == scores["coverage"]


def test_with_refit_there_is_no_threshold(finished, tmp_path):
    """Train then writes probabilities of no image."""
    models = shutil.copytree(finished / "models", tmp_path / "models")
    write_validation(tmp_path, np.zeros((0, len(CLASSES)), np.float32))
    run(tmp_path, models=models, processed=finished / "processed")
    said = read_json(models / "classifier" / "model.json")
    assert (said["threshold"], said["coverage"], said["error"]) == (None, None, None)
    scores = read_json(tmp_path / "reports" / "test.json")
    assert not {"coverage", "accepted_error_rate"} & scores.keys()


@pytest.mark.parametrize("shape", [(299, 3), (300, 4)])
def test_validation_probabilities_that_do_not_fit_are_refused(finished, tmp_path, shape):
    write_validation(tmp_path, np.zeros(shape, np.float32))
    with pytest.raises(UserError, match="expected a probability of each of 3 classes for each"):
        run(tmp_path, models=finished / "models", processed=finished / "processed")


def test_the_confusion_counts_every_test_image_in_the_classes_order(finished):
    path = finished / "reports" / "confusion.json"
    rows = read_json(path)
    assert [(row["actual"], row["predicted"]) for row in rows[:3]] == [(c, c) for c in CLASSES]
    assert all(row["count"] > 0 for row in rows[3:])
    assert sum(row["count"] for row in rows) == 30
    counts, left_out = read_confusion(path, 3)
    assert left_out == 0
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
    run(finished, models=finished / "models", processed=finished / "processed")
    scores = read_json(finished / "reports" / "test.json")
    assert capsys.readouterr().out == "".join(f"test {k}: {v}\n" for k, v in scores.items())


def test_a_network_that_is_no_better_than_the_largest_class_is_called_so(
    finished, tmp_path, capsys
):
    """The sentence follows the scores. All test images are of the largest training class."""
    processed = shutil.copytree(finished / "processed", tmp_path / "processed")
    labels = np.ones(30, np.uint8)
    np.save(processed / "y_test.npy", labels)
    shutil.copytree(finished / "reports", tmp_path / "reports")
    run(tmp_path, models=finished / "models", processed=processed)
    scores = read_json(tmp_path / "reports" / "test.json")
    assert scores["baseline_accuracy"] == 1
    probabilities = np.load(tmp_path / "reports" / "probabilities_test.npy")
    expected = describe_no_better(probabilities, labels, TRAINING_LABELS, "test")
    assert f"({scores['accuracy']} against 1.0)" in expected
    assert capsys.readouterr().out.splitlines()[len(scores) :] == [expected]


def test_the_scores_of_a_small_example():
    scores = scores_on_test(PROBABILITIES, TRUTH, TRUTH, TRAINING)
    by_hand = -(np.log(0.9) + np.log(0.8) + np.log(0.7) + np.log(0.4)) / 4
    assert scores == {
        "accuracy": 0.75,
        "accuracy_low": 0.3006,  # Wilson's, 3 of 4
        "accuracy_high": 0.9544,
        "baseline_accuracy": 0.5,
        "accuracy_trusted": 0.75,
        "balanced_accuracy": 0.75,
        "error_count": 1,
        "loss": round(by_hand, 4),
        "macro_f1": round((4 / 5 + 2 / 3) / 2, 4),
        "calibration_error": round((0.1 + 0.2 + 0.3 + 0.6) / 4, 4),  # one image a bin
    }


def test_the_baseline_goes_by_the_labels_of_the_training_images():
    labels = np.array([0, 1, 0, 0], np.uint8)
    assert scores_on_test(PROBABILITIES, labels, labels, TRAINING)["baseline_accuracy"] == 0.25


@pytest.mark.parametrize(
    ("labels", "trusted"),
    [
        ([0, 1, 0, -1], 1.0),
        ([-1, 1, 0, 1], 0.6667),
        ([-1, 1, 0, -1], 1.0),
        ([0, 1, 0, 0], 1.0),
        ([1, 1, 0, 1], 0.5),
        ([-1, -1, -1, 0], 1.0),
    ],
)
def test_corrected_labels_change_the_trusted_accuracy_alone(labels, trusted):
    with_all = scores_on_test(PROBABILITIES, TRUTH, TRUTH, TRAINING)
    scores = scores_on_test(PROBABILITIES, TRUTH, np.array(labels, np.int32), TRAINING)
    assert scores == with_all | {"accuracy_trusted": trusted}


def test_a_missing_model_is_an_error_before_anything_is_written(finished, tmp_path):
    with pytest.raises(UserError, match=r"model\.onnx is missing"):
        run(tmp_path, models=tmp_path, processed=finished / "processed")
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
    write_model(large, tmp_path / "models")
    with pytest.raises(UserError, match=r"no finite numbers"):
        run(tmp_path, models=tmp_path / "models", processed=finished / "processed")
    assert not (tmp_path / "reports").exists()


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
        ("y_train", TRAINING_LABELS + 1, "expected labels from 0 to 2; found 1 to 3"),
        ("y_test_trusted", TRUSTED[1:], r"expected 30 labels as integers.*found \(29,\) as int32"),
        ("y_test_trusted", TRUSTED.astype(float), "one a test image; found .* as float64"),
        ("y_test_trusted", TRUSTED - 1, "expected labels from -1 to 2, .*; found -2 to 1"),
        ("y_test_trusted", TRUSTED + 1, "found 0 to 3"),
        ("y_test_trusted", np.full(30, -1, np.int32), "not all of them -1; found -1 to -1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(finished, tmp_path, name, array, message):
    folder = shutil.copytree(finished / "processed", tmp_path / "processed")
    np.save(folder / f"{name}.npy", array)
    with pytest.raises(UserError, match=message):
        run(tmp_path, models=finished / "models", processed=folder)
    assert not (tmp_path / "reports").exists()
