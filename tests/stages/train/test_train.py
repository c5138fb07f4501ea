"""train: what it writes, that it learns, that a rerun gives the same bytes."""

import contextlib
import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import (
    CLASSES,
    make_section,
    normalization,
    tiny_dataset,
    tiny_files,
    tiny_images,
    tiny_model,
    training,
    write_parts,
)

from stages.plots.reports import read_table
from stages.run.params import Dataset
from stages.shared.errors import UserError
from stages.train.architectures import ARCHITECTURES
from stages.train.batches import Batches
from stages.train.history import describe_overfitting
from stages.train.main import main

TRAIN, VALIDATION = tiny_images(60, seed=1), tiny_images(24, seed=2)
DATASET = make_section(Dataset, **tiny_dataset(tiny_files(), sources=[]))
PARAMS = training(epochs=6)
MODEL = tiny_model("mlp", units=[16, 8])
OUTPUTS = ["models/classifier/model.onnx", "models/layers.txt", "models/model.keras",
           "reports/history.csv",
           "reports/probabilities_validation.npy", "reports/validation.json"]  # fmt: skip


def write_processed(folder: Path) -> Path:
    """The arrays that the stage may read. There are no test images, so it cannot use them."""
    return write_parts(folder, train=TRAIN, validation=VALIDATION)


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_processed(tmp_path_factory.mktemp("train") / "processed")


def run(
    processed: Path, folder: Path, *, seed: int = 0, params: Any = PARAMS, model: Any = MODEL
) -> Path:
    """Run the stage; remove its checkpoints afterwards, as stages/run does."""
    models, reports, scratch = (folder / name for name in ("models", "reports", "scratch"))
    main(processed, models, reports, seed, params, model, DATASET, scratch, plain=False)
    shutil.rmtree(scratch)
    return folder


@pytest.fixture(scope="module")
def finished_and_printed(
    processed: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A folder in which the stage has run, models and reports, and what it printed into a pipe."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        folder = run(processed, tmp_path_factory.mktemp("finished"))
    return folder, printed.getvalue()


@pytest.fixture(scope="module")
def finished(finished_and_printed: tuple[Path, str]) -> Path:
    return finished_and_printed[0]


@pytest.fixture(scope="module")
def printed(finished_and_printed: tuple[Path, str]) -> str:
    return finished_and_printed[1]


@pytest.fixture(scope="module")
def other_seed(processed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stage has run with the next seed."""
    return run(processed, tmp_path_factory.mktemp("other seed"), seed=1)


def history_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "reports" / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scores_of(folder: Path) -> dict[str, float]:
    return json.loads((folder / "reports" / "validation.json").read_text(encoding="utf-8"))


# What it writes


def test_every_output_is_written_and_nothing_else(finished):
    files = (path for path in finished.rglob("*") if path.is_file())
    assert sorted(path.relative_to(finished).as_posix() for path in files) == OUTPUTS


def test_the_history_has_a_row_an_epoch(finished):
    rows = history_of(finished)
    assert list(rows[0]) == ["epoch", "accuracy", "loss", "validation_accuracy", "validation_loss"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert all(0 <= float(row[name]) <= 1 for row in rows for name in row if "accuracy" in name)


def test_the_scores_are_those_of_the_last_epoch(finished):
    scores, last = scores_of(finished), history_of(finished)[-1]
    assert list(scores) == ["accuracy", "loss", "baseline_accuracy", "parameters"]
    assert scores["accuracy"] == pytest.approx(float(last["validation_accuracy"]), abs=6e-5)
    assert scores["loss"] == pytest.approx(float(last["validation_loss"]), abs=6e-5)
    assert scores["parameters"] == (120 * 16 + 16) + (16 * 8 + 8) + (8 * 3 + 3)


def test_the_probabilities_are_those_of_the_saved_model(finished):
    model = keras.saving.load_model(finished / "models" / "model.keras")
    probabilities = np.load(finished / "reports" / "probabilities_validation.npy")
    np.testing.assert_allclose(probabilities, model.predict(VALIDATION[0], verbose=0), atol=1e-6)
    right = (probabilities.argmax(axis=1) == VALIDATION[1]).mean()
    assert scores_of(finished)["accuracy"] == round(right, 4)


def test_the_tiny_task_is_learned(finished):
    first, *_between, last = history_of(finished)
    assert float(last["loss"]) < 0.7 * float(first["loss"])
    assert scores_of(finished)["accuracy"] >= 0.9  # by chance it would be 1 in 3


def test_the_table_of_layers_is_kept_and_printed(finished, printed):
    table = (finished / "models" / "layers.txt").read_text(encoding="utf-8")
    assert printed.startswith(table)
    assert "dense_1 (Dense)" in table
    assert "Total params: 2,099" in table


def test_missing_arrays_are_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match=r"x_train\.npy is missing"):
        run(tmp_path / "nothing", tmp_path)
    assert list(tmp_path.iterdir()) == []


# Always the same


def test_two_runs_give_the_same_bytes(processed, finished, tmp_path):
    np.random.seed(1)  # noqa: NPY002  # a state that an earlier run may have left
    run(processed, tmp_path)
    for name in OUTPUTS:
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes(), name


def test_another_seed_gives_another_model(finished, other_seed):
    for name in ("models/model.keras", "reports/history.csv"):
        assert (other_seed / name).read_bytes() != (finished / name).read_bytes(), name
    assert scores_of(other_seed)["parameters"] == scores_of(finished)["parameters"]


def test_the_seed_shuffles_the_training_images_alone(processed, tmp_path, monkeypatch):
    seeds: list[int | None] = []

    class Recorded(Batches):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            seeds.append(self.seed)

    monkeypatch.setattr("stages.train.fitting.Batches", Recorded)
    run(processed, tmp_path, seed=3, params=training(epochs=1))
    assert sorted(seeds, key=str) == [3, None]


# The options


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_option_together_trains_each_network(processed, tmp_path, name, capsys, monkeypatch):
    monkeypatch.setattr("stages.train.precision.CPU", tmp_path / "none")
    params = training(
        epochs=8, schedule="cosine", warmup=1, label_smoothing=0.1, members=2,
        precision="mixed_bfloat16", augmentation={  # but for a flip, which moves the bars
            "rotation": 5, "translation": 1, "zoom": 0.1, "shear": 0.1, "elastic": 0.3}
    )  # fmt: skip
    folder = run(processed, tmp_path, params=params, model=tiny_model(name, **normalization(name)))
    assert "train.precision: this CPU may have no" in capsys.readouterr().out
    saved = keras.saving.load_model(folder / "models/model.keras")
    probabilities = np.load(folder / "reports/probabilities_validation.npy")
    tolerance = 2e-5 if name == "pretrained" else 1e-6  # a backbone has 50 layers
    expected = saved.predict(VALIDATION[0], verbose=0)
    np.testing.assert_allclose(probabilities, expected, atol=tolerance, rtol=1e-3)
    assert "bfloat16" not in json.dumps(saved.get_config())
    assert keras.config.dtype_policy().name == "float32"
    assert scores_of(folder)["accuracy"] > 0.6


def test_an_ensemble_averages_networks_of_following_seeds(
    processed, finished, other_seed, tmp_path
):
    ensemble = run(processed, tmp_path, seed=0, params=training(epochs=6, members=2))
    singles = [finished, other_seed]
    name = "reports/probabilities_validation.npy"
    mean = np.mean([np.load(folder / name) for folder in singles], axis=0)
    np.testing.assert_allclose(np.load(ensemble / name), mean, atol=1e-6)
    histories = [read_table(folder / "reports/history.csv") for folder in singles]
    for column, values in read_table(ensemble / "reports/history.csv").items():
        np.testing.assert_allclose(values, np.mean([h[column] for h in histories], 0), atol=1e-5)
    assert scores_of(ensemble)["parameters"] == 2 * scores_of(singles[0])["parameters"]


def test_refit_trains_on_validation_images_and_scores_nothing(
    processed, finished, tmp_path, capsys
):
    folder = run(processed, tmp_path, params=training(epochs=6, refit=True))
    assert list(history_of(folder)[0]) == ["epoch", "accuracy", "loss"]
    assert list(scores_of(folder)) == ["parameters"]
    assert np.load(folder / "reports/probabilities_validation.npy").shape == (0, len(CLASSES))
    assert "trained on as well (train.refit), so no score judges it" in capsys.readouterr().out
    model = "models/model.keras"
    assert (folder / model).read_bytes() != (finished / model).read_bytes()


def test_an_ensemble_can_train_on_validation_images_too(processed, tmp_path, capsys):
    folder = run(processed, tmp_path, params=training(epochs=2, refit=True, members=2))
    rows = history_of(folder)
    assert [list(row) for row in rows] == [["epoch", "accuracy", "loss"]] * 2
    assert list(scores_of(folder)) == ["parameters"]
    note = "This is one member; the model is the mean of the probabilities of 2."
    assert note in capsys.readouterr().out
    assert note in (folder / "models/layers.txt").read_text(encoding="utf-8")


# What it says


def test_an_epoch_is_a_line_outside_a_terminal(printed):
    score = r"\d+\.\d{4}"
    line = (
        rf"epoch (\d)/6  accuracy {score}  loss {score}  "
        rf"validation_accuracy {score}  validation_loss {score}  \d+\.\d s"
    )
    lines = [re.fullmatch(line, said) for said in printed.splitlines() if said.startswith("epoch ")]
    assert [matched[1] for matched in lines] == list("123456")
    assert not re.search("[\b\r\x1b]", printed)


def test_overfitting_is_printed_after_the_epochs(finished, printed):
    rows = history_of(finished)
    history = {name: [float(row[name]) for row in rows] for name in rows[0]}
    baseline = scores_of(finished)["baseline_accuracy"]
    assert describe_overfitting(history, "last", baseline) in printed.splitlines()


def test_divergence_stops_at_its_epoch_and_leaves_no_model(processed, tmp_path):
    """Adam moves each weight by about 10 a step: through 14 layers the numbers overflow."""
    deep = tiny_model("mlp", units=[32] * 14, dropout=[0.0] * 14)
    params = training(epochs=5, batch_size=4, learning_rate=10.0)
    with pytest.raises(UserError, match=r"the loss became (nan|inf) in epoch \d: .*learning_rate"):
        run(processed, tmp_path, params=params, model=deep)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"layers.txt"}


# Arrays that do not fit each other


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("x_validation", VALIDATION[0][:, 1:], r"images \(12, 10\) like those of x_train\."),
        ("y_validation", VALIDATION[1] + 9, "every class from 0 to 11; found none of "),
        ("y_train", np.full(60, 99), "every class from 0 to 99; found none of "),
        ("y_train", TRAIN[1] * 1.0, "as integers"),
        ("x_train", TRAIN[0][:0], "none of it 0"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path, name, array, message):
    write_processed(tmp_path / "processed")
    np.save(tmp_path / "processed" / f"{name}.npy", array)
    with pytest.raises(UserError, match=message):
        run(tmp_path / "processed", tmp_path)
    assert not (tmp_path / "models").exists()


# Memory


def test_a_network_that_does_not_fit_into_memory_is_refused(processed, tmp_path):
    model = tiny_model("mlp", units=[16_384] * 100, dropout=[0.0] * 100)
    expected = (
        r"model\.mlp\.units: training 1 x 26,578,\d{3},\d{3} weights needs 1,169\.\d GB of memory"
    )
    with pytest.raises(UserError, match=expected):
        run(processed, tmp_path, model=model)
    assert not (tmp_path / "models").exists()
