"""The figures: arrays in, a matplotlib Figure out. Sizes and titles are the article's."""

from typing import Any

import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from stages.plots.names import read_from_left, shorten_name, shorten_names

Integers = npt.NDArray[np.integer[Any]]
Images = npt.NDArray[np.uint8]
Columns = dict[str, npt.NDArray[np.float64]]

RECALL_AXES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)  # where the axis of a class's recall may begin
AXIS_NAME, TITLE_NAME = 24, 14  # letters of a class name at an axis and above an image
TRAIN, VALIDATION = sns.color_palette("deep")[:2]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches; not pyplot's, which keep a global state."""
    air = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)  # inches at the edges
    return Figure((width, height), layout=air)


def image_grid(figure: Figure, images: Images, titles: list[str], rows: int, columns: int) -> None:
    """Up to rows x columns grey images (count, height, width), each under its title."""
    for number, text in enumerate(titles, start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.imshow(images[number - 1], cmap="gray", vmin=0, vmax=255)
        axes.set_title(text, fontsize=11)
        axes.axis("off")


def samples(images: Images, labels: Integers, classes: list[str]) -> Figure:
    figure = new_figure(10, 5)
    names = shorten_names(classes, TITLE_NAME)
    titles = [f"Label: {names[label]}" for label in labels[:15]]
    image_grid(figure, images[:15], titles, rows=3, columns=5)
    return figure


def predictions(
    images: Images, labels: Integers, predicted: Integers, classes: list[str], right: bool
) -> Figure:
    """The first nine images that were classified rightly, or those that were not."""
    chosen = np.flatnonzero((predicted == labels) == right)[:9]
    names = shorten_names(classes, TITLE_NAME)
    titles = [f"True: {names[labels[i]]}\nPred: {names[predicted[i]]}" for i in chosen]
    figure = new_figure(6.5, 7.5)
    figure.suptitle("Correct Predictions" if right else "Wrong Predictions", fontsize=15)
    if not len(chosen):
        figure.text(0.5, 0.5, "There is none.", ha="center")
    image_grid(figure, images[chosen], titles, rows=3, columns=3)
    return figure


def class_distribution(labels: Integers, classes: list[str], class_axis: str) -> Figure:
    figure = new_figure(8, 5)
    axes = figure.subplots()
    names = shorten_names(classes, AXIS_NAME)
    counts = np.bincount(labels, minlength=len(classes))
    bars = axes.bar(range(len(names)), counts, tick_label=names, color=TRAIN)
    axes.bar_label(bars, fmt="{:,.0f}", fontsize=9, padding=2)
    axes.set(
        title="Class Distribution", xlabel=shorten_name(class_axis, 2 * AXIS_NAME), ylabel="Count"
    )
    fit_labels(axes, names)
    sns.despine(figure)
    return figure


def training_curves(history: Columns) -> Figure:
    """Accuracy and loss by epoch, of the training and, if held out, the validation images."""
    figure = new_figure(12, 5)
    for axes, score in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        name = score.capitalize()
        for column, split, colour in [
            (score, "Train", TRAIN),
            (f"validation_{score}", "Validation", VALIDATION),
        ]:
            if column in history:
                axes.plot(
                    history["epoch"], history[column], ".-", color=colour, label=f"{split} {name}"
                )
        axes.set(title=f"{name} Curve", xlabel="Epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.legend()
    sns.despine(figure)
    return figure


def confusion_matrix(counts: Integers, classes: list[str]) -> Figure:
    """Counts (true class, predicted class) as numbers in cells, darker for more."""
    figure = new_figure(10, 8)
    axes = figure.subplots()
    names = shorten_names(classes, AXIS_NAME)
    sns.heatmap(
        counts,
        annot=True,
        fmt=",d",
        cmap="Blues",
        ax=axes,
        cbar_kws={"format": "{x:,.0f}"},
        xticklabels=names,
        yticklabels=names,
    )
    axes.set(title="Confusion Matrix", xlabel="Predicted", ylabel="True")
    axes.tick_params(axis="y", rotation=0)
    fit_labels(axes, names)
    return figure


def confused_pairs(counts: Integers, classes: list[str], most: int) -> Figure:
    """The pairs of a true and a predicted class that were confused most often."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [
        (i, j) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[i, j]
    ]
    figure = new_figure(8, 1.5 + 0.35 * max(len(pairs), 3))
    axes = figure.subplots()
    short = shorten_names(classes, AXIS_NAME)
    names = [read_from_left(f"{short[i]} as {short[j]}") for i, j in pairs]
    widths = [wrong[pair] for pair in pairs]
    bars = axes.barh(range(len(pairs)), widths, tick_label=names, color=VALIDATION)
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(
        title=f"Most Confused Pairs (of {wrong.sum()} errors)",
        xlabel="Count",
        ylabel="True as predicted",
    )
    sns.despine(figure)
    return figure


def class_recall(rows: list[dict[str, Any]], classes: list[str], class_axis: str) -> Figure:
    """The share of each class that was recognised, with its 95 % interval, from a row a class.

    In the classes' order, and on one of a few axes, so that two such figures can be compared.
    """
    recall = np.array([row["recall"] for row in rows])
    low, high = np.array([[row["recall_low"], row["recall_high"]] for row in rows]).T
    figure = new_figure(8, 5)
    axes = figure.subplots()
    places = range(len(rows))
    axes.errorbar(
        recall, places, xerr=[recall - low, high - recall], fmt="o", capsize=3, color=TRAIN
    )
    axes.set_yticks(places, shorten_names(classes, AXIS_NAME))
    for place, value in zip(places, recall, strict=True):
        axes.annotate(
            f"{value:.1%}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
        )
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    start = max(start for start in RECALL_AXES if start <= low.min())
    axes.set_xlim(start, 1 + 0.01 * (1 - start))
    axes.grid(axis="x", alpha=0.3)
    axes.set(
        title="Recall by Class",
        xlabel="Recall, with its 95 % interval",
        ylabel=shorten_name(class_axis, 2 * AXIS_NAME),
    )
    sns.despine(figure)
    return figure


def fit_labels(axes: Axes, names: list[str]) -> None:
    """Slant the horizontal axis' class names where they would run into each other."""
    if max(map(len, names)) > 5:
        axes.tick_params(axis="x", rotation=30)
