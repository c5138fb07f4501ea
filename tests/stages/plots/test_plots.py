"""plots: which files it writes, and that each figure shows the arrays it should."""

import json
import os
import shutil
import signal
import struct
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from conftest import CLASSES, make_section, tiny_dataset, tiny_files, tiny_images, write_parts
from matplotlib.figure import Figure
from PIL import Image

from stages.evaluate.class_scores import confusion_counts, confusion_rows, score_rows
from stages.plots import figures
from stages.plots.main import list_figures, main
from stages.plots.saving import save_figure, save_figures
from stages.run.params import Dataset, Plots
from stages.shared.arrays import write_array
from stages.shared.errors import UserError

DATASET = make_section(Dataset, **tiny_dataset(tiny_files(), sources=[]))
TRAIN, VALIDATION, TEST = tiny_images(48, seed=1), tiny_images(12, seed=2), tiny_images(30, seed=3)
WRONG = [2, 7, 11]  # of the test images
SIZES = {  # in inches; three pairs are confused
    "samples": (10, 5),
    "class_distribution": (8, 5),
    "training_curves": (12, 5),
    "confusion_matrix": (10, 8),
    "confused_pairs": (8, 1.5 + 3 * 0.35),
    "class_recall": (8, 5),
    "correct_predictions": (6.5, 7.5),
    "wrong_predictions": (6.5, 7.5),
}


@pytest.fixture(scope="module", autouse=True)
def own_theme() -> Iterator[None]:
    """The stage sets seaborn's theme for its process; other tests keep theirs."""
    with mpl.rc_context():
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the stages before wrote: processed and reports."""
    folder = tmp_path_factory.mktemp("plots")
    write_parts(folder / "processed", train=TRAIN, validation=VALIDATION, test=TEST)
    labels = TEST[1].astype(int)
    predicted = labels.copy()
    predicted[WRONG] = (predicted[WRONG] + 1) % 3
    probabilities = np.eye(3, dtype=np.float32)[predicted]
    write_array(folder / "reports" / "probabilities_test.npy", probabilities)
    counts = confusion_counts(probabilities, labels)
    for name, rows in [("confusion", confusion_rows), ("classes", score_rows)]:
        text = json.dumps(rows(counts, CLASSES))
        (folder / "reports" / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "reports" / "history.csv").write_text(
        "epoch,accuracy,loss,validation_accuracy,validation_loss\n"
        "1,0.5,0.9,0.4,1.0\n2,0.7,0.6,0.6,0.8\n",
        encoding="utf-8",
    )
    return folder


PLOTS = make_section(Plots, resolution=40, confused_pairs=10)


def draw(inputs: Path, folder: Path, resolution: int = 40, confused_pairs: int = 10) -> None:
    section = make_section(Plots, resolution=resolution, confused_pairs=confused_pairs)
    main(inputs / "processed", inputs / "reports", folder, DATASET, section)


@pytest.fixture(scope="module")
def drawn(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Figure]]:
    """The folder in which the stage has drawn, and its figures by name."""
    folder = tmp_path_factory.mktemp("figures")
    draw(inputs, folder)
    drawings = list_figures(inputs / "processed", inputs / "reports", DATASET, PLOTS)
    return folder, {name: draw_figure() for name, draw_figure in drawings.items()}


def pixels(path: Path) -> tuple[int, int]:
    """Width and height as the PNG's header states them."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


def test_there_are_the_eight_pictures_and_nothing_else(drawn):
    folder, _figures = drawn
    assert {path.name for path in folder.iterdir()} == {f"{name}.png" for name in SIZES}


@pytest.mark.parametrize("name", SIZES)
def test_a_picture_has_its_size_at_the_resolution(drawn, name):
    folder, _figures = drawn
    width, height = SIZES[name]
    assert pixels(folder / f"{name}.png") == (int(width * 40), int(height * 40))


def test_the_resolution_is_obeyed(inputs, tmp_path, monkeypatch):
    one_figure = {"samples": partial(figures.samples, *TRAIN, CLASSES)}
    monkeypatch.setattr("stages.plots.main.list_figures", lambda *_: one_figure)
    draw(inputs, tmp_path, resolution=30)
    assert pixels(tmp_path / "samples.png") == (300, 150)


def test_two_runs_give_the_same_bytes(inputs, drawn, tmp_path):
    first, _figures = drawn
    draw(inputs, tmp_path)
    for name in SIZES:
        assert (tmp_path / f"{name}.png").read_bytes() == (first / f"{name}.png").read_bytes(), name


def test_the_class_distribution_counts_each_split(drawn):
    _folder, by_name = drawn
    (axes,) = by_name["class_distribution"].axes
    assert [bar.get_height() for bar in axes.patches] == [16] * 3 + [4] * 3 + [10] * 3
    assert axes.get_xlabel() == "Place"


def test_the_samples_are_training_images(drawn):
    _folder, by_name = drawn
    images, labels = TRAIN
    chosen = [i for label in range(3) for i in np.flatnonzero(labels == label)[:5]]
    (axes,) = by_name["samples"].axes
    for shown, title, i in zip(axes.images, axes.texts, chosen, strict=True):
        np.testing.assert_array_equal(shown.get_array(), images[i])
        assert title.get_text() == f"Label: {CLASSES[labels[i]]}"


def test_the_predictions_are_test_images(drawn):
    _folder, by_name = drawn
    right = [i for i in range(30) if i not in WRONG][:9]
    for kind, chosen in [("correct", right), ("wrong", WRONG)]:
        (axes,) = by_name[f"{kind}_predictions"].axes
        shown = [image.get_array() for image in axes.images]
        np.testing.assert_array_equal(shown, TEST[0][chosen])


def test_the_confusion_is_read_from_the_report(drawn):
    _folder, by_name = drawn
    texts = [text.get_text() for text in by_name["confusion_matrix"].axes[0].texts]
    # Of ten each: image 7 is a middle as right; 2 and 11 are rights as left.
    assert texts == ["10", "0", "0", "0", "9", "1", "2", "0", "8"]
    pairs = by_name["confused_pairs"].axes[0].get_yticklabels()
    assert [label.get_text() for label in pairs] == ["right as left", "middle as right"]


def test_a_missing_report_is_an_error_before_anything_is_drawn(inputs, tmp_path):
    (tmp_path / "reports").mkdir()
    with pytest.raises(UserError, match=r"probabilities_test\.npy is missing"):
        main(inputs / "processed", tmp_path / "reports", tmp_path / "figures", DATASET, PLOTS)
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    ("path", "array", "message"),
    [
        ("processed/y_validation", VALIDATION[1] + 1, "expected labels from 0 to 2; found 1 to 3"),
        ("processed/x_train", TRAIN[0][:0], "none of it 0; found"),
        ("processed/y_test", TEST[1][None], "expected labels"),
        ("reports/probabilities_test", np.eye(3)[:2], r"probabilities \(30, 3\) as float32; found"),
        ("reports/probabilities_test", np.zeros((30, 3), np.uint8), "found .* as uint8"),
        ("reports/probabilities_test", np.zeros(30), "found .* as float64"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(inputs, tmp_path, path, array, message):
    copied = shutil.copytree(inputs, tmp_path / "inputs")
    np.save(copied / f"{path}.npy", array)
    with pytest.raises(UserError, match=message):
        draw(copied, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def end_unless(process: int, signal_number: int) -> Figure:
    """Stands for a figure that kills the process which draws it, but for the named one."""
    if os.getpid() != process:
        os.kill(os.getpid(), signal_number)
    return figures.samples(*TRAIN, CLASSES)


def refuse(message: str) -> Figure:
    raise UserError(message)


def save_both(folder: Path, second: partial[Figure]) -> None:
    first = partial(figures.samples, *TRAIN, CLASSES)
    save_figures({"first": first, "second": second}, folder, 20)


def test_what_the_other_process_leaves_undone_is_drawn_by_this_one(tmp_path):
    save_both(tmp_path, partial(end_unless, os.getpid(), signal.SIGKILL))
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_a_fault_in_a_figure_of_the_other_process_is_said_once(tmp_path, capfd):
    with pytest.raises(UserError, match="a figure with a fault"):
        save_both(tmp_path, partial(refuse, "a figure with a fault"))
    assert capfd.readouterr().err == ""


def test_one_core_draws_the_same_bytes(inputs, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr("stages.plots.saving.can_fork", lambda: False)
    draw(inputs, tmp_path)
    for name in SIZES:
        assert (tmp_path / f"{name}.png").read_bytes() == (drawn[0] / f"{name}.png").read_bytes()


@pytest.mark.parametrize("resolution", [40, 37])
def test_a_picture_has_the_pixels_that_savefig_gives(tmp_path, resolution):
    figure = figures.samples(*TRAIN, CLASSES)
    save_figure(tmp_path / "ours.png", figure, resolution)
    figures.samples(*TRAIN, CLASSES).savefig(tmp_path / "theirs.png", dpi=resolution)
    with Image.open(tmp_path / "ours.png") as ours, Image.open(tmp_path / "theirs.png") as theirs:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs.convert("RGB")))
        assert ours.info["dpi"] == theirs.info["dpi"]
