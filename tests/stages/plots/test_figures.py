"""The figures: the article's sizes, titles, axes and legends, and the oddities of real data."""

import io
import itertools
from functools import cache, partial

import matplotlib as mpl
import numpy as np
import pytest
from conftest import CLASSES, tiny_images
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

from stages.plots import figures
from stages.plots.style import use_style

IMAGES, LABELS = tiny_images(40, seed=6)
LONG = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot")  # fmt: skip
SHORT = tuple("0123456789")
SENTENCES = tuple(
    f"a long-winded name, as ImageNet has them, number {number}" for number in range(10)
)
HISTORY = {
    "epoch": np.array([1.0, 2, 3]),
    "accuracy": np.array([0.5, 0.6, 0.7]),
    "loss": np.array([0.9, 0.8, 0.7]),
    "validation_accuracy": np.array([0.55, 0.65, 0.6]),
    "validation_loss": np.array([0.95, 0.85, 0.9]),
}
COUNTS = np.array([[9, 3, 0], [1, 8, 3], [0, 1, 7]])
RECALLS = [
    {"recall": 0.75, "recall_low": 0.47, "recall_high": 0.91, "support": 12},
    {"recall": 0.875, "recall_low": 0.53, "recall_high": 0.98, "support": 16},
    {"recall": 0.75, "recall_low": 0.46, "recall_high": 0.91, "support": 12},
]


EVERY_FIGURE = [
    "samples", "right", "wrong", "distribution", "curves", "confusion", "pairs", "recall",
]  # fmt: skip


def size(figure: Figure) -> tuple[float, float]:
    """Width and height in inches."""
    return tuple(figure.get_size_inches())


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def grid(figure: Figure) -> tuple[list[str], list[AxesImage], tuple[int, int]]:
    """The titles and images of a figure of images, and how many rows and columns they stand in."""
    (axes,) = figure.axes
    lefts, _, bottoms, _ = zip(*(image.get_extent() for image in axes.images), strict=True)
    places = len({round(y, 6) for y in bottoms}), len({round(x, 6) for x in lefts})
    return [text.get_text() for text in axes.texts], list(axes.images), places


def ticks(axes: Axes, axis: str) -> list[str]:
    """The names at the marks of the axis "x" or "y"."""
    return [label.get_text() for label in getattr(axes, f"get_{axis}ticklabels")()]


def overhang(figure: Figure) -> float:
    """How far, in inches, the drawing reaches over the figure's edges; 0 if it does not."""
    FigureCanvasAgg(figure).draw()
    width, height = size(figure)
    box = figure.get_tightbbox()
    return max(0, -box.x0, -box.y0, box.x1 - width, box.y1 - height)


def overlapping(figure: Figure, texts: list[Text]) -> list[tuple[str, str]]:
    """Which pairs of the texts run into each other."""
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in texts]
    return [
        (one.get_text(), other.get_text())
        for (one, a), (other, b) in itertools.combinations(zip(texts, boxes, strict=True), 2)
        if a.overlaps(b)
    ]


def splits_of(labels: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Numbers of images by class, the same for each split."""
    return dict.fromkeys(("Train", "Validation", "Test"), np.bincount(labels, minlength=count))


@cache
def draw(name: str, classes: tuple[str, ...]) -> Figure:
    """The figure for these classes, with a confusion of each class as the next."""
    names, count = list(classes), len(classes)
    labels = np.arange(40) % count
    counts = np.diag(np.full(count, 900)) + np.roll(np.eye(count, dtype=int), 1, axis=1)
    recalls = [RECALLS[0]] * count
    wrong = (labels + 1) % count
    makers = {
        "samples": partial(figures.samples, IMAGES, labels, names),
        "right": partial(figures.predictions, IMAGES, labels, labels, names, right=True),
        "wrong": partial(figures.predictions, IMAGES, labels, wrong, names, right=False),
        "distribution": partial(
            figures.class_distribution, splits_of(labels, count), names, "Class"
        ),
        "curves": partial(figures.training_curves, HISTORY),
        "confusion": partial(figures.confusion_matrix, counts, names),
        "pairs": partial(figures.confused_pairs, counts, names, most=10),
        "recall": partial(figures.class_recall, recalls, names, "Class"),
    }
    return makers[name]()


# The article's figures


def test_samples_are_fifteen_in_a_grid_by_class():
    figure = figures.samples(IMAGES, LABELS, CLASSES)
    chosen = [i for label in range(3) for i in np.flatnonzero(label == LABELS)[:5]]
    assert size(figure) == (10, 5)
    names, images, places = grid(figure)
    assert names == [f"Label: {CLASSES[LABELS[i]]}" for i in chosen]
    assert places == (3, 5)
    for image, i in zip(images, chosen, strict=True):
        np.testing.assert_array_equal(image.get_array(), IMAGES[i])
        assert image.get_cmap().name == "gray"
        assert image.get_clim() == (0, 255)  # black is black also in a bright image


def test_samples_in_colour_keep_their_colours():
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)
    figure = figures.samples(images, np.arange(9) % 3, CLASSES)
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), images[0])


@pytest.mark.parametrize(
    ("count", "shown"), [(15, 15), (16, 16), (62, 62), (100, 100), (1000, 100)]
)
def test_samples_show_an_image_of_each_class_up_to_a_hundred(count, shown):
    labels = np.random.default_rng(0).permutation(count)
    figure = figures.samples(np.zeros((count, 2, 2), np.uint8), labels, names_of(count))
    assert len(set(grid(figure)[0])) == shown
    assert max(size(figure)) <= 10


@pytest.mark.parametrize("shape", [(28, 28), (20, 60), (60, 20, 3), (1, 9), (9, 1)])
@pytest.mark.parametrize("count", [3, 40])
def test_images_of_any_shape_keep_it_and_stand_apart_within_the_figure(shape, count):
    images = np.zeros((count, *shape), np.uint8)
    labels = np.arange(count)
    for figure in (
        figures.samples(images, labels, names_of(count)),
        figures.predictions(images, labels, labels[::-1], names_of(count), right=False),
    ):
        figure.draw_without_rendering()
        boxes = [image.get_window_extent() for image in figure.axes[0].images]
        boxes += [text.get_window_extent() for text in figure.axes[0].texts]
        boxes += [text.get_window_extent() for text in figure.texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        assert overhang(figure) == 0
        for box in boxes[: len(figure.axes[0].images)]:
            assert box.height / box.width == pytest.approx(shape[0] / shape[1])


def test_the_class_distribution_counts_every_label_of_each_split():
    counts = {"Train": [2, 0, 3], "Validation": [1, 1, 0], "Test": [0, 4, 1]}
    figure = figures.class_distribution(
        {k: np.array(v) for k, v in counts.items()}, CLASSES, "Place"
    )
    (axes,) = figure.axes
    assert size(figure) == (8, 5)
    assert titles(figure) == ["Class Distribution"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Place", "Count")
    assert ticks(axes, "x") == CLASSES
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(counts)
    assert [bar.get_height() for bar in axes.patches] == [2, 0, 3, 1, 1, 0, 0, 4, 1]


def test_the_numbers_of_images_of_many_classes_are_curves_that_fall():
    counts = np.random.default_rng(0).integers(0, 90, 200)
    (axes,) = figures.class_distribution({"Train": counts}, names_of(200), "Place").axes
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), sorted(counts, reverse=True))
    assert "200 classes" in axes.get_xlabel()


def test_the_training_curves_have_two_panels_with_legends():
    figure = figures.training_curves(HISTORY)
    assert size(figure) == (12, 5)
    assert titles(figure) == ["Accuracy Curve", "Loss Curve"]
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in figure.axes]
    assert legends == [
        ["Train Accuracy", "Validation Accuracy", "Lowest Validation Loss"],
        ["Train Loss", "Validation Loss", "Lowest Validation Loss"],
    ]
    assert [axes.get_xlabel() for axes in figure.axes] == ["Epoch", "Epoch"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["Accuracy", "Loss"]


def test_without_validation_images_the_curves_are_those_of_the_training():
    trained_on_all = {key: HISTORY[key] for key in ("epoch", "accuracy", "loss")}
    for axes in figures.training_curves(trained_on_all).axes:
        (line,) = axes.lines
        assert line.get_label().startswith("Train ")


def test_the_training_curves_show_each_column_by_epoch():
    lines = [line for axes in figures.training_curves(HISTORY).axes for line in axes.lines[:2]]
    columns = ["accuracy", "validation_accuracy", "loss", "validation_loss"]
    for line, column in zip(lines, columns, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), HISTORY["epoch"])
        np.testing.assert_array_equal(line.get_ydata(), HISTORY[column])
    train, validation, *_ = (line.get_color() for line in lines)
    assert [line.get_color() for line in lines] == [train, validation, train, validation]
    assert train != validation


def test_the_training_curves_mark_the_epoch_of_the_lowest_validation_loss():
    for axes in figures.training_curves(HISTORY).axes:
        *_, mark = axes.lines
        assert list(mark.get_xdata()) == [2, 2]


@pytest.mark.parametrize("epochs", [1, 2, 20, 137])
def test_epochs_are_whole_numbers(epochs):
    history = {name: np.linspace(0.1, 0.9, epochs) for name in HISTORY}
    figure = figures.training_curves(history | {"epoch": np.arange(1, epochs + 1)})
    for axes in figure.axes:
        low, high = axes.get_xlim()
        marks = [mark for mark in axes.get_xticks() if low <= mark <= high]
        assert marks
        assert [mark for mark in marks if mark % 1] == []


def test_the_confusion_matrix_has_true_classes_in_rows():
    figure = figures.confusion_matrix(COUNTS, CLASSES)
    axes = figure.axes[0]  # the other is the colour bar
    assert size(figure) == (10, 8)
    assert axes.get_title() == "Confusion Matrix"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted", "True")
    assert ticks(axes, "x") == ticks(axes, "y") == CLASSES
    assert [text.get_text() for text in axes.texts] == [str(count) for count in COUNTS.flat]
    assert axes.collections[0].get_cmap().name == "Blues"
    assert axes.yaxis_inverted()  # the first class at the top


@pytest.mark.parametrize(
    ("right", "title"), [(True, "Correct Predictions"), (False, "Wrong Predictions")]
)
def test_predictions_are_the_first_nine_of_their_kind(right, title):
    predicted = LABELS.astype(int)
    predicted[::3] = (predicted[::3] + 1) % 3  # each third is wrong
    figure = figures.predictions(IMAGES, LABELS, predicted, CLASSES, right)
    chosen = [i for i in range(40) if (i % 3 != 0) == right][:9]
    assert figure.get_suptitle() == title
    names, images, places = grid(figure)
    assert names == [f"True: {CLASSES[LABELS[i]]}\nPred: {CLASSES[predicted[i]]}" for i in chosen]
    assert places == (3, 3)
    for image, i in zip(images, chosen, strict=True):
        np.testing.assert_array_equal(image.get_array(), IMAGES[i])


# Figures that the article lacks: it reads them off its confusion matrix by eye


def test_the_most_confused_pairs_come_first_and_ties_keep_the_classes_order():
    figure = figures.confused_pairs(COUNTS, CLASSES, most=10)
    (axes,) = figure.axes
    assert ticks(axes, "y") == [
        "left as middle", "middle as right", "middle as left", "right as middle",
    ]  # fmt: skip
    assert [bar.get_width() for bar in axes.patches] == [3, 3, 1, 1]
    assert axes.yaxis_inverted()  # the first pair at the top
    assert titles(figure) == ["Most Confused Pairs (of 8 errors)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Count", "True as predicted")


def test_only_so_many_pairs_are_shown():
    figure = figures.confused_pairs(COUNTS, CLASSES, most=2)
    assert ticks(figure.axes[0], "y") == ["left as middle", "middle as right"]
    assert titles(figure) == ["Most Confused Pairs (of 8 errors)"]  # all errors, shown or not


def test_more_pairs_make_a_higher_figure():
    few, many = (draw("pairs", LONG[:count]) for count in (4, 10))
    assert size(few)[0] == size(many)[0]
    assert size(few)[1] < size(many)[1]


def test_the_recall_of_each_class_stands_in_the_classes_order_with_its_interval():
    figure = figures.class_recall(RECALLS, CLASSES, "Place")
    (axes,) = figure.axes
    assert size(figure) == (8, 5)
    assert ticks(axes, "y") == CLASSES
    assert axes.yaxis_inverted()
    assert titles(figure) == ["Recall by Class"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Recall, with its 95 % interval", "Place")
    (bars,) = axes.containers
    ends = [segment[:, 0].tolist() for segment in bars[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.47, 0.91], [0.53, 0.98], [0.46, 0.91]])
    assert [text.get_text() for text in axes.texts] == ["75.0%", "87.5%", "75.0%"]


@pytest.mark.parametrize(
    ("lowest", "start"),
    [(0.0, 0.0), (0.31, 0.0), (0.5, 0.5), (0.93, 0.9), (0.954, 0.95), (1.0, 0.98)],
)
def test_two_figures_of_recall_have_the_same_axis_unless_they_lie_far_apart(lowest, start):
    rows = [row | {"recall": 1.0, "recall_low": lowest, "recall_high": 1.0} for row in RECALLS]
    (axes,) = figures.class_recall(rows, CLASSES, "Place").axes
    assert axes.get_xlim()[0] == pytest.approx(start)


@pytest.mark.parametrize(
    "setting", [{"text.usetex": True}, {"font.family": "serif"}, {"font.size": 40}]
)
def test_what_the_user_has_set_for_matplotlib_changes_no_figure(setting):
    def drawn() -> bytes:
        use_style()
        content = io.BytesIO()
        figures.class_recall(RECALLS, CLASSES, "Place").savefig(content, format="png", dpi=30)
        return content.getvalue()

    with mpl.rc_context():
        usual = drawn()
    with mpl.rc_context(setting):
        assert drawn() == usual


# Many classes


def names_of(count: int) -> list[str]:
    return [f"a rather long name of class {number}" for number in range(count)]


@pytest.mark.parametrize("count", [2, 30, 31, 62, 100, 200, 1000])
@pytest.mark.parametrize("name", ["samples", "distribution", "confusion", "pairs", "recall"])
def test_figures_of_many_classes_stay_small_and_their_names_apart(name, count):
    figure = draw(name, tuple(names_of(count)))
    assert max(size(figure)) <= 10  # inches: 3,000 pixels
    assert overhang(figure) == 0
    axes = figure.axes[0]
    if name in ("confusion", "pairs", "recall"):
        labels = axes.get_yticklabels()
        assert overlapping(figure, labels) == []
        assert min(label.get_fontsize() for label in labels) >= 4
    if name == "distribution" and 12 < count <= 100:
        assert {label.get_rotation() for label in axes.get_xticklabels()} == {90}


def test_up_to_thirty_classes_have_numbers_in_cells_and_more_have_none():
    assert len(draw("confusion", tuple(names_of(30))).axes[0].texts) == 30 * 30
    assert len(draw("confusion", tuple(names_of(31))).axes[0].texts) == 0


def test_of_very_many_classes_the_matrix_has_those_that_are_confused_most():
    counts = np.diag(np.full(200, 50))
    counts[7, 150] = 9
    counts[150, 3] = 8
    counts[7, 199] = 1
    figure = figures.confusion_matrix(counts, names_of(200))
    axes = figure.axes[0]
    rows = ticks(axes, "y")
    assert len(rows) == 30
    assert {"3", "7", "150", "199"} <= {name.rsplit(" ")[-1] for name in rows}
    assert ticks(axes, "x") == [*rows, "all others"]
    assert "30 Most Confused of 200 Classes" in axes.get_title()


def test_of_very_many_classes_the_recall_has_the_lowest_of_those_with_images():
    rows = [
        {"recall": number / 200, "recall_low": 0.0, "recall_high": 1.0, "support": 5}
        for number in range(200)
    ]
    rows[0]["support"] = 0
    (axes,) = figures.class_recall(rows, names_of(200), "Place").axes
    assert [name.rsplit(" ")[-1] for name in ticks(axes, "y")] == [str(n) for n in range(1, 31)]
    assert axes.get_title() == "Lowest Recalls of 200 Classes"


def test_errors_of_pairs_that_were_left_out_are_counted():
    figure = figures.confused_pairs(COUNTS, CLASSES, most=2, left_out=5)
    assert titles(figure) == ["Most Confused Pairs (of 13 errors)"]


# Other data, other models


def test_fewer_than_nine_wrong_predictions_are_all_shown():
    predicted = LABELS.astype(int)
    predicted[[4, 30]] = 2
    predicted[30] = 1
    figure = figures.predictions(IMAGES, LABELS, predicted, CLASSES, right=False)
    assert grid(figure)[0] == ["True: middle\nPred: right", "True: left\nPred: middle"]
    assert [text.get_text() for text in figure.texts] == ["Wrong Predictions"]


def test_no_wrong_prediction_is_said_in_words():
    figure = figures.predictions(IMAGES, LABELS, LABELS, CLASSES, right=False)
    assert figure.axes == []
    assert [text.get_text() for text in figure.texts] == ["Wrong Predictions", "There is none."]


def test_small_counts_have_whole_numbers_at_the_colour_bar():
    bar = figures.confusion_matrix(np.eye(3, dtype=int) * 3, CLASSES).axes[1]
    assert [tick % 1 for tick in bar.get_yticks()] == [0, 0, 0, 0]


def test_the_legend_covers_no_curve_of_many_classes():
    figure = figures.class_distribution({"Train": np.full(200, 9)}, names_of(200), "Place")
    (axes,) = figure.axes
    FigureCanvasAgg(figure).draw()
    legend = axes.get_legend().get_window_extent()
    assert axes.lines[0].get_window_extent().ymax < legend.ymin


def test_no_confused_pair_is_an_empty_figure():
    figure = figures.confused_pairs(np.diag([5, 6, 7]), CLASSES, most=10)
    (axes,) = figure.axes
    assert titles(figure) == ["Most Confused Pairs (of 0 errors)"]
    assert list(axes.patches) == ticks(axes, "y") == []
    assert [mark for mark in axes.get_xticks() if mark % 1] == []  # a count is whole


def test_fewer_than_fifteen_samples_are_all_shown():
    assert len(grid(figures.samples(IMAGES[:4], LABELS[:4], CLASSES))[0]) == 4


@pytest.mark.parametrize("classes", [LONG, SENTENCES], ids=["long", "sentences"])
@pytest.mark.parametrize("name", EVERY_FIGURE)
def test_nothing_is_cut_off_with_long_class_names(name, classes):
    assert overhang(draw(name, classes)) == 0


@pytest.mark.parametrize("name", ["distribution", "confusion", "pairs", "recall"])
def test_names_that_begin_alike_keep_their_own_places(name):
    axis = "x" if name == "distribution" else "y"
    assert len(ticks(draw(name, SENTENCES).axes[0], axis)) == len(SENTENCES)


@pytest.mark.parametrize("classes", [LONG, SENTENCES], ids=["long", "sentences"])
@pytest.mark.parametrize("name", ["samples", "right", "wrong"])
def test_titles_of_images_do_not_run_into_each_other(name, classes):
    figure = draw(name, classes)
    assert overlapping(figure, [axes.title for axes in figure.axes]) == []


@pytest.mark.parametrize("name", ["confusion", "pairs", "recall"])
def test_long_names_at_the_left_stay_apart(name):
    figure = draw(name, LONG)
    assert overlapping(figure, figure.axes[0].get_yticklabels()) == []


@pytest.mark.parametrize("name", ["distribution", "confusion"])
def test_long_names_below_are_slanted(name):
    """Rectangles around slanted names overlap, so only straight ones can be measured."""
    long, short = draw(name, LONG), draw(name, SHORT)
    assert {label.get_rotation() for label in long.axes[0].get_xticklabels()} == {30}
    assert {label.get_rotation() for label in short.axes[0].get_xticklabels()} == {0}
    assert overlapping(short, short.axes[0].get_xticklabels()) == []
