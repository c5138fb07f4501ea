"""train: what it writes, that it trains as the article does, that a rerun gives the same bytes."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import CLASSES, SHAPE, Project, augmentation, tiny_images, tiny_model, training

from stages.plots.reports import read_table
from stages.run.params import Model, Train
from stages.shared.errors import UserError
from stages.train import main
from stages.train.architectures import build_network
from stages.train.batches import Batches
from stages.train.fitting import fit_network, learning_rate

TRAIN, VALIDATION = tiny_images(60, seed=1), tiny_images(24, seed=2)
PARAMS = training(epochs=6)
MODEL = tiny_model("mlp")
OUTPUTS = ["models/layers.txt", "models/model.keras", "reports/history.csv",
           "reports/probabilities_validation.npy", "reports/validation.json"]  # fmt: skip


def write_processed(folder: Path) -> None:
    """The arrays that the stage may read. There are no test images, so it cannot use them."""
    folder.mkdir(parents=True)
    for name, (images, labels) in {"train": TRAIN, "validation": VALIDATION}.items():
        np.save(folder / f"x_{name}.npy", images)
        np.save(folder / f"y_{name}.npy", labels)


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "processed"
    write_processed(folder)
    return folder


def run(
    processed: Path, folder: Path, *, seed: int = 0, params: Train = PARAMS, model: Model = MODEL
) -> Path:
    """Run the stage; as stages/run.py does, remove its checkpoints."""
    scratch = folder / "scratch"
    main.main(processed, folder / "models", folder / "reports", seed, params, model, scratch)
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


def history_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "reports" / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scores_of(folder: Path) -> dict[str, float]:
    return json.loads((folder / "reports" / "validation.json").read_text(encoding="utf-8"))


def fitted(
    params: Train, folder: Path, seed: int = 0, model: Model = MODEL
) -> tuple[keras.Model, dict[str, list[float]]]:
    """A network after the stage's `fit`, and its history."""
    make = partial(build_network, model.name, SHAPE, len(CLASSES), **dict(model.chosen))
    return fit_network(make, [TRAIN], VALIDATION, seed, params, folder)


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
    assert list(scores) == ["accuracy", "loss", "parameters"]
    assert scores["accuracy"] == pytest.approx(float(last["validation_accuracy"]), abs=6e-5)
    assert scores["loss"] == pytest.approx(float(last["validation_loss"]), abs=6e-5)
    assert scores["parameters"] == (120 * 16 + 16) + (16 * 8 + 8) + (8 * 3 + 3)


def test_the_probabilities_are_the_saved_models(finished):
    model = keras.saving.load_model(finished / "models" / "model.keras")
    probabilities = np.load(finished / "reports" / "probabilities_validation.npy")
    np.testing.assert_allclose(probabilities, model.predict(VALIDATION[0], verbose=0), atol=1e-6)
    right = (probabilities.argmax(axis=1) == VALIDATION[1]).mean()
    assert scores_of(finished)["accuracy"] == round(right, 4)


def test_the_tiny_task_is_learnt(finished):
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


def test_another_seed_gives_another_model(processed, finished, tmp_path):
    run(processed, tmp_path, seed=1)
    for name in ("models/model.keras", "reports/history.csv"):
        assert (tmp_path / name).read_bytes() != (finished / name).read_bytes(), name
    assert scores_of(tmp_path)["parameters"] == scores_of(finished)["parameters"]


def test_the_seed_shuffles_the_training_images_alone(processed, tmp_path, monkeypatch):
    seeds: list[int | None] = []

    class Recorded(Batches):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)
            seeds.append(self.seed)

    monkeypatch.setattr("stages.fitting.Batches", Recorded)
    run(processed, tmp_path, seed=3, params=training(epochs=1))
    assert sorted(seeds, key=str) == [3, None]


def test_weights_do_not_depend_on_steps_per_call(monkeypatch, tmp_path):
    """With batches of one there are 60 steps an epoch: a whole call of 50 and a part of one."""
    params = training(epochs=2, batch_size=1)
    as_shipped, _ = fitted(params, tmp_path / "as shipped")
    for steps in (1, 7):
        monkeypatch.setattr("stages.fitting.STEPS_PER_CALL", steps)
        network, _ = fitted(params, tmp_path / str(steps))
        for shipped, other in zip(as_shipped.get_weights(), network.get_weights(), strict=True):
            np.testing.assert_array_equal(shipped, other)


def test_it_is_what_plain_keras_does(tmp_path):
    """The article's way: float32 images of 0 to 1, one-hot labels, Adam, cross-entropy."""
    params = training(epochs=3, learning_rate=0.001)
    images, labels = TRAIN[0].astype(np.float32) / 255, np.eye(3, dtype=np.float32)[TRAIN[1]]
    keras.utils.set_random_seed(5)
    plain = keras.Sequential([
        keras.layers.Input(SHAPE),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    plain.compile(keras.optimizers.Adam(params.learning_rate), "categorical_crossentropy")
    batches = Batches([TRAIN], 3, 16, seed=5)
    for epoch in range(params.epochs):
        batches.start_epoch(epoch)
        rows = batches.order
        plain.fit(images[rows], labels[rows], batch_size=16, shuffle=False, verbose=0)
    ours, _ = fitted(params, tmp_path, seed=5)
    for one, other in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


# The options


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_every_option_together_trains_each_network(processed, tmp_path, name):
    params = training(
        epochs=8, schedule="cosine", warmup=1, label_smoothing=0.1, members=2,
        precision="mixed_bfloat16", augmentation=augmentation(
            rotation=5, translation=1, zoom=0.1, shear=0.1, elastic=0.3),  # a flip moves the bars
    )  # fmt: skip
    model = tiny_model(name, batch_normalization=True)
    folder = run(processed, tmp_path, params=params, model=model)
    saved = keras.saving.load_model(folder / "models/model.keras")
    probabilities = np.load(folder / "reports/probabilities_validation.npy")
    np.testing.assert_allclose(probabilities, saved.predict(VALIDATION[0], verbose=0), atol=1e-6)
    assert "bfloat16" not in json.dumps(saved.get_config())
    assert keras.config.dtype_policy().name == "float32"
    assert scores_of(folder)["accuracy"] > 0.6


def test_an_ensemble_averages_networks_of_following_seeds(processed, tmp_path):
    params = training(epochs=2)
    three = params.model_copy(update={"members": 3})
    ensemble = run(processed, tmp_path / "ensemble", seed=4, params=three)
    singles = [run(processed, tmp_path / str(n), seed=4 + n, params=params) for n in range(3)]
    name = "reports/probabilities_validation.npy"
    mean = np.mean([np.load(folder / name) for folder in singles], axis=0)
    np.testing.assert_allclose(np.load(ensemble / name), mean, atol=1e-6)
    histories = [read_table(folder / "reports/history.csv") for folder in singles]
    for column, values in read_table(ensemble / "reports/history.csv").items():
        np.testing.assert_allclose(values, np.mean([h[column] for h in histories], 0), atol=1e-5)
    assert scores_of(ensemble)["parameters"] == 3 * scores_of(singles[0])["parameters"]


def test_refit_trains_on_validation_images_and_scores_nothing(processed, tmp_path, capsys):
    folder = run(processed, tmp_path, params=training(epochs=2, refit=True))
    assert list(history_of(folder)[0]) == ["epoch", "accuracy", "loss"]
    assert list(scores_of(folder)) == ["parameters"]
    assert np.load(folder / "reports/probabilities_validation.npy").shape == (0, len(CLASSES))
    assert "nothing judges it here" in capsys.readouterr().out
    other = run(processed, tmp_path / "without", params=training(epochs=2))
    model = "models/model.keras"
    assert (folder / model).read_bytes() != (other / model).read_bytes()


def test_an_ensemble_can_train_on_validation_images_too(processed, tmp_path, capsys):
    folder = run(processed, tmp_path, params=training(epochs=2, refit=True, members=2))
    rows = history_of(folder)
    assert [list(row) for row in rows] == [["epoch", "accuracy", "loss"]] * 2
    assert list(scores_of(folder)) == ["parameters"]
    note = "This is one member; the model is the mean of the probabilities of 2."
    assert note in capsys.readouterr().out
    assert note in (folder / "models/layers.txt").read_text(encoding="utf-8")


def rates(**options: object) -> list[float]:
    """The learning rate of each weight update, two an epoch."""
    params = training(learning_rate=0.01, **options)
    schedule = learning_rate(params, steps_an_epoch=2)
    steps = range(2 * params.epochs)
    return [float(schedule(n)) if callable(schedule) else schedule for n in steps]


def test_the_schedule():
    constant = rates(epochs=2)
    np.testing.assert_allclose(constant, [0.01] * 4)
    warm = rates(epochs=4, warmup=2)
    np.testing.assert_allclose(warm, [0, 0.0025, 0.005, 0.0075, *[0.01] * 4])
    cosine = rates(epochs=4, schedule="cosine")
    np.testing.assert_allclose(cosine, 0.005 * (1 + np.cos(np.pi * np.arange(8) / 8)), rtol=1e-5)
    both = rates(epochs=4, schedule="cosine", warmup=2)
    np.testing.assert_allclose(both[:4], [0, 0.0025, 0.005, 0.0075])
    np.testing.assert_allclose(both[4:], 0.005 * (1 + np.cos(np.pi * np.arange(4) / 4)), rtol=1e-5)
    all_but = rates(epochs=4, warmup=3.9)  # rounded, all of the weight updates
    np.testing.assert_allclose(all_but, 0.01 * np.arange(8) / 7, rtol=1e-5)


def test_the_schedule_is_the_optimizers(tmp_path, monkeypatch):
    """With a rate of 0 from the first step on, nothing moves."""
    monkeypatch.setattr("stages.fitting.learning_rate", lambda *_: keras.optimizers.schedules
                        .PiecewiseConstantDecay([1], [0.0, 0.0]))  # fmt: skip
    network, _ = fitted(training(epochs=1), tmp_path)
    keras.utils.set_random_seed(0)
    untrained = build_network("mlp", SHAPE, len(CLASSES), **dict(MODEL.chosen))
    for one, other in zip(network.get_weights(), untrained.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_label_smoothing_is_in_the_loss_that_is_trained_for(tmp_path):
    _, sharp = fitted(training(), tmp_path / "sharp")
    _, smooth = fitted(training(label_smoothing=0.3), tmp_path / "smooth")
    assert smooth["loss"][-1] > sharp["loss"][-1]
    least = -(0.8 * np.log(0.8) + 0.2 * np.log(0.1))  # of targets 0.8, 0.1, 0.1
    assert min(smooth["validation_loss"]) > least


def test_a_cpu_without_bfloat16_is_named(processed, tmp_path, capsys, monkeypatch):
    (tmp_path / "cpuinfo").write_text("flags : fpu sse2 avx2 avx512f\n")
    monkeypatch.setattr("stages.layers.CPU", tmp_path / "cpuinfo")
    run(processed, tmp_path, params=training(epochs=1, precision="mixed_bfloat16"))
    assert "train.precision: this CPU has no arithmetic for bfloat16" in capsys.readouterr().out
    (tmp_path / "cpuinfo").write_text("flags : fpu avx512f avx512_bf16\n")
    run(processed, tmp_path, params=training(epochs=1, precision="mixed_bfloat16"))
    assert "train.precision" not in capsys.readouterr().out
    (tmp_path / "cpuinfo").unlink()  # as on macOS
    run(processed, tmp_path, params=training(epochs=1, precision="mixed_bfloat16"))
    assert "CPU may have no (this system does not tell) arithmetic" in capsys.readouterr().out


# What it says


def test_an_epoch_is_a_line_where_there_is_no_terminal(printed):
    score = r"\d+\.\d{4}"
    line = (
        rf"epoch (\d)/6  accuracy {score}  loss {score}  "
        rf"validation_accuracy {score}  validation_loss {score}  \d+\.\d s"
    )
    lines = [re.fullmatch(line, said) for said in printed.splitlines() if said.startswith("epoch ")]
    assert [matched[1] for matched in lines] == list("123456")
    assert not re.search("[\b\r\x1b]", printed)


@pytest.mark.parametrize(
    ("validation_loss", "sentence"),
    [
        ([0.5], "No overfitting seen: the validation loss was lowest in the last epoch, 1."),
        ([0.5, 0.4], "No overfitting seen: the validation loss was lowest in the last epoch, 2."),
        (
            [0.5, 0.25, 0.4],
            (
                "Overfitting after epoch 2: the validation loss was lowest there, 0.2500; "
                "epoch 3, the last, has 0.4000."
            ),
        ),
    ],
)
def test_overfitting_is_read_off_the_validation_loss(validation_loss, sentence):
    assert main.overfitting(validation_loss) == sentence


def test_overfitting_is_printed_at_the_end(finished, printed):
    losses = [float(row["validation_loss"]) for row in history_of(finished)]
    assert printed.splitlines()[-1] == main.overfitting(losses)


def test_divergence_stops_at_its_epoch_and_leaves_no_model(processed, tmp_path):
    """Adam moves each weight by about 10 a step: through 14 layers the numbers overflow."""
    deep = tiny_model("mlp", units=[32] * 14, dropout=[0.0] * 14)
    params = training(epochs=5, batch_size=4, learning_rate=10.0)
    with pytest.raises(UserError, match=r"the loss became (nan|inf) in epoch \d: .*learning_rate"):
        run(processed, tmp_path, params=params, model=deep)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"layers.txt"}


# In a terminal


def read_until(pattern: str, terminal: int, seconds: float) -> str:
    """What appears in the terminal until the pattern does or the program ends."""
    output, end = b"", time.monotonic() + seconds
    while not re.search(pattern, output.decode(errors="ignore")):
        assert time.monotonic() < end, f"no {pattern} in:\n{output.decode(errors='ignore')}"
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                output += os.read(terminal, 1 << 16)
            except OSError:  # how Linux tells that the program has closed the terminal
                break
    return output.decode(errors="ignore")


@pytest.fixture(scope="module")
def session(
    fresh_project: Project, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Project, str, int]]:
    """A long training as started in a terminal, interrupted in its third epoch."""
    project = fresh_project.copy(tmp_path_factory.mktemp("session") / "clone")
    project.edit({"train.epochs": 10_000, "train.augmentation.rotation": 5})
    (project.folder / "temporary").mkdir()
    environment = project.environment | {"TMPDIR": str(project.folder / "temporary")}
    write_processed(project.folder / "data" / "processed")
    terminal, side = pty.openpty()
    command = ["python", "-m", "stages.run", "train", "data/processed", "models", "reports"]
    process = subprocess.Popen(
        command, cwd=project.folder, env=environment, stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    try:
        output = read_until("Epoch 3/", terminal, seconds=60)
        process.send_signal(signal.SIGINT)
        output += read_until("(?!)", terminal, seconds=30)
        yield project, output, process.wait(timeout=30)
    finally:
        process.kill()
        os.close(terminal)


def test_a_terminal_shows_a_live_bar(session):
    _project, output, _code = session
    assert "Epoch 1/10000" in output
    assert "━" in output
    assert re.search("[\b\r]\x1b|\b", output)  # it draws over itself
    assert "epoch 1/10000" not in output  # the line of logs and pipes


def test_tensorflow_sends_no_greeting(session):
    _project, output, _code = session
    assert not re.search("absl|oneDNN|I0000|cuda|rebuild TensorFlow", output, re.IGNORECASE)
    assert output.startswith('Model: "mlp"')


def test_the_table_of_layers_has_no_colours_of_the_terminal(session):
    project, _output, _code = session
    table = project.read("models/layers.txt")
    assert "\x1b" not in table
    assert "Total params" in table


def test_an_interrupt_ends_quietly_and_leaves_no_model(session):
    project, output, code = session
    assert code == -signal.SIGINT
    assert "Traceback" not in output
    assert [path.name for path in (project.folder / "models").iterdir()] == ["layers.txt"]
    assert not (project.folder / "reports" / "validation.json").exists()


def test_an_interrupt_leaves_nothing_in_the_systems_temporary_folder(session):
    project, _output, _code = session
    assert not list((project.folder / "temporary").iterdir())
