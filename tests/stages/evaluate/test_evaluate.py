"""evaluate: what it writes about a model and its test images."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, tiny_dataset, tiny_files, tiny_images

from stages.evaluate import main
from stages.run.params import Dataset
from stages.shared.errors import UserError
from stages.train.architectures import build_network
from stages.train.saving import save_model

IMAGES, LABELS = tiny_images(30, seed=2)
DATASET = Dataset(**tiny_dataset(tiny_files(), sources=[]))

# Two images of each of two classes; the last is wrong.
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], np.float32)
TRUTH = np.array([0, 1, 0, 1], np.uint8)


def read(path: Path) -> object:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Trained a little, so that it is neither always right nor always wrong."""
    keras.utils.set_random_seed(0)
    block = {"units": [8], "dropout": [0.0], "batch_normalization": False}
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
    main.main(*(folder / name for name in ("models", "processed", "reports")), DATASET)
    return folder


def test_the_reports_are_written_and_nothing_else(finished):
    assert {path.name for path in (finished / "reports").iterdir()} == {
        "test.json", "confusion.json", "classes.json", "reliability.json", "probabilities_test.npy",
    }  # fmt: skip


def test_the_probabilities_are_the_models(finished, model):
    probabilities = np.load(finished / "reports" / "probabilities_test.npy")
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (30, len(CLASSES))
    np.testing.assert_allclose(probabilities, model.predict(IMAGES, verbose=0), atol=1e-6)


def test_the_metrics_are_those_of_the_probabilities(finished):
    probabilities = np.load(finished / "reports" / "probabilities_test.npy")
    metrics = read(finished / "reports" / "test.json")
    wrong = int((probabilities.argmax(axis=1) != LABELS).sum())
    assert 0 < wrong < 30
    assert metrics["error_count"] == wrong
    assert metrics["accuracy"] == round(1 - wrong / 30, 4)
    assert metrics == main.metrics_of(probabilities, LABELS, suspect_labels=[0])


def test_the_confusion_counts_every_test_image_in_the_classes_order(finished):
    rows = read(finished / "reports" / "confusion.json")
    pairs = [(actual, predicted) for actual in CLASSES for predicted in CLASSES]
    assert [(row["actual"], row["predicted"]) for row in rows] == pairs
    assert sum(row["count"] for row in rows) == 30
    counts = np.array([row["count"] for row in rows]).reshape(3, 3)
    assert counts.sum(axis=1).tolist() == np.bincount(LABELS).tolist()
    right = np.trace(counts)
    assert 30 - right == read(finished / "reports" / "test.json")["error_count"]


def test_the_classes_have_a_row_each_in_order(finished):
    rows = read(finished / "reports" / "classes.json")
    assert [row["class"] for row in rows] == CLASSES
    assert [row["support"] for row in rows] == np.bincount(LABELS).tolist()


def test_the_reliability_counts_every_test_image(finished):
    assert sum(row["count"] for row in read(finished / "reports" / "reliability.json")) == 30


def test_the_metrics_are_printed(finished, capsys):
    folders = (finished / name for name in ("models", "processed", "reports"))
    main.main(*folders, DATASET)
    metrics = read(finished / "reports" / "test.json")
    assert capsys.readouterr().out == "".join(f"test {k}: {v}\n" for k, v in metrics.items())


def test_metrics_of_a_small_example():
    metrics = main.metrics_of(PROBABILITIES, TRUTH, suspect_labels=[])
    by_hand = -(np.log(0.9) + np.log(0.8) + np.log(0.7) + np.log(0.4)) / 4
    assert metrics == {
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
def test_suspect_labels_leave_one_accuracy_and_no_other_score(suspect, trusted):
    with_all = main.metrics_of(PROBABILITIES, TRUTH, suspect_labels=[])
    metrics = main.metrics_of(PROBABILITIES, TRUTH, suspect_labels=suspect)
    assert metrics == with_all | {"accuracy_trusted": trusted}


def test_a_missing_model_is_an_error_before_anything_is_written(finished, tmp_path):
    with pytest.raises(UserError, match=r"model\.keras is missing"):
        main.main(tmp_path, finished / "processed", tmp_path / "reports", DATASET)
    assert list(tmp_path.iterdir()) == []
