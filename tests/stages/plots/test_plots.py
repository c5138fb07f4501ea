"""plots: which files it writes, and that each figure shows the arrays it should."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from conftest import CLASSES, tiny_dataset, tiny_files, tiny_images
from matplotlib.figure import Figure

from stages.evaluate import class_scores
from stages.evaluate.main import write_json
from stages.plots import figures, main
from stages.run.params import Dataset, Plots
from stages.shared.arrays import write_array, write_table
from stages.shared.errors import UserError

DATASET = Dataset(**tiny_dataset(tiny_files(), sources=[]))
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
    for name, (images, labels) in {"train": TRAIN, "validation": VALIDATION, "test": TEST}.items():
        write_array(folder / "processed" / f"x_{name}.npy", images)
        write_array(folder / "processed" / f"y_{name}.npy", labels)
    labels = TEST[1].astype(int)
    predicted = labels.copy()
    predicted[WRONG] = (predicted[WRONG] + 1) % 3
    probabilities = np.eye(3, dtype=np.float32)[predicted]
    write_array(folder / "reports" / "probabilities_test.npy", probabilities)
    counts = class_scores.confusion_counts(probabilities, labels)
    write_json(folder / "reports" / "confusion.json", class_scores.confusion_rows(counts, CLASSES))
    by_class = class_scores.by_class(probabilities, labels, CLASSES)
    write_json(folder / "reports" / "classes.json", by_class)
    history = {"epoch": [1, 2], "accuracy": [0.5, 0.7], "loss": [0.9, 0.6],
               "validation_accuracy": [0.4, 0.6], "validation_loss": [1.0, 0.8]}  # fmt: skip
    write_table(folder / "reports" / "history.csv", history)
    return folder


def draw(inputs: Path, folder: Path, resolution: int = 40, confused_pairs: int = 10) -> None:
    section = Plots(resolution=resolution, confused_pairs=confused_pairs)
    main.main(inputs / "processed", inputs / "reports", folder, DATASET, section)


@pytest.fixture(scope="module")
def drawn(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Figure]]:
    """The folder in which the stage has drawn, and the figures themselves by their functions."""
    folder, seen = tmp_path_factory.mktemp("figures"), {}

    def seeing(name: str, function: Callable[..., Figure]) -> Callable[..., Figure]:
        def draw_and_keep(*args: object, right: bool | None = None, **kwargs: object) -> Figure:
            kind = name if right is None else {True: "right", False: "wrong"}[right]
            more = {} if right is None else {"right": right}
            seen[kind] = function(*args, **more, **kwargs)
            return seen[kind]

        return draw_and_keep

    with pytest.MonkeyPatch.context() as patch:
        for name in ("samples", "class_distribution", "training_curves", "confusion_matrix",
                     "confused_pairs", "class_recall", "predictions"):  # fmt: skip
            patch.setattr(figures, name, seeing(name, getattr(figures, name)))
        draw(inputs, folder)
    return folder, seen


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


def test_the_resolution_is_obeyed_and_two_runs_give_the_same_bytes(inputs, tmp_path):
    draw(inputs, tmp_path / "first", resolution=30)
    draw(inputs, tmp_path / "second", resolution=30)
    assert pixels(tmp_path / "first" / "samples.png") == (300, 150)
    for name in SIZES:
        first, second = (tmp_path / run / f"{name}.png" for run in ("first", "second"))
        assert first.read_bytes() == second.read_bytes(), name


def test_the_class_distribution_counts_train_and_validation_together(drawn):
    _folder, by_name = drawn
    (axes,) = by_name["class_distribution"].axes
    assert [bar.get_height() for bar in axes.patches] == [20, 20, 20]
    assert axes.get_xlabel() == "Place"


def test_the_samples_are_training_images(drawn):
    _folder, by_name = drawn
    for axes, image, label in zip(by_name["samples"].axes, *TRAIN, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
        assert axes.get_title() == f"Label: {CLASSES[label]}"


def test_the_predictions_are_test_images(drawn):
    _folder, by_name = drawn
    right = [i for i in range(30) if i not in WRONG][:9]
    for kind, chosen in [("right", right), ("wrong", WRONG)]:
        shown = [axes.images[0].get_array() for axes in by_name[kind].axes]
        np.testing.assert_array_equal(shown, TEST[0][chosen])


def test_the_confusion_is_that_of_the_report(drawn):
    _folder, by_name = drawn
    texts = [text.get_text() for text in by_name["confusion_matrix"].axes[0].texts]
    # Of ten each: image 7 is a middle as right; 2 and 11 are rights as left.
    assert texts == ["10", "0", "0", "0", "9", "1", "2", "0", "8"]
    pairs = by_name["confused_pairs"].axes[0].get_yticklabels()
    assert [label.get_text() for label in pairs] == ["right as left", "middle as right"]


def test_a_missing_report_is_an_error_before_anything_is_drawn(inputs, tmp_path):
    (tmp_path / "reports").mkdir()
    with pytest.raises(UserError, match=r"probabilities_test\.npy is missing"):
        main.main(
            inputs / "processed", tmp_path / "reports", tmp_path / "figures", DATASET,
            Plots(resolution=40, confused_pairs=10),
        )  # fmt: skip
    assert not (tmp_path / "figures").exists()
