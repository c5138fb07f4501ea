"""The figures: arrays in, a matplotlib Figure out. Sizes and titles are the article's."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from stages.plots.class_choice import (
    LARGEST_SIDE,
    MOST_NAMED,
    POINTS,
    SHOWN,
    font_for,
    lowest_recall,
    most_confused,
    side_for,
    spread_classes,
)
from stages.plots.names import read_from_left, shorten_name, shorten_names

Integers = npt.NDArray[np.integer[Any]]
Indices = npt.NDArray[np.intp]
Images = npt.NDArray[np.uint8]
Columns = dict[str, npt.NDArray[np.float64]]

RECALL_AXES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)  # where the axis of a class's recall may begin
AXIS_NAME, TITLE_NAME = 24, 14  # letters of a class name at an axis and above an image
MOST_NUMBERED = 30  # classes whose counts stand as numbers in cells and at bars
MOST_SLANTED = 12  # classes whose names are slanted below an axis; of more they are upright
USUAL_SAMPLES = 15
GAP = 0.15  # inches between an image and the next one, or its title
LINE_HEIGHT = 1.3  # of a title, in sizes of its font
TRAIN, VALIDATION, TEST = sns.color_palette("deep")[:3]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches; not pyplot's, which keep a global state."""
    air = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)  # inches at the edges
    return Figure((width, height), layout=air)


def image_grid(
    figure: Figure, images: Images, titles: list[str], columns: int, rows: int, heading: float = 0
) -> None:
    """Images (count, height, width[, 3]), each under its title, below `heading` inches of space.

    All are in one Axes, whose unit is the inch: an Axes for each takes three times as long.
    """
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    font = 11 if columns <= 5 else 7
    cell_width, cell_height = width / columns, (height - heading) / rows
    lines = 1 + max(title.count("\n") for title in titles)
    above = lines * font * LINE_HEIGHT / POINTS
    scale = min((cell_width - GAP) / images.shape[2], (cell_height - above - GAP) / images.shape[1])
    half, tall = scale * images.shape[2] / 2, scale * images.shape[1]  # of an image, in inches
    for number, title in enumerate(titles):
        row, column = divmod(number, columns)
        middle = (column + 0.5) * cell_width
        top = heading + row * cell_height + (cell_height + above - tall) / 2
        axes.text(middle, top - GAP / 3, title, ha="center", va="bottom", fontsize=font)
        place = (middle - half, middle + half, top + tall, top)
        # Grey images alone use the colour map and its ends.
        axes.imshow(images[number], "gray", vmin=0, vmax=255, extent=place, aspect="auto")


def samples(images: Images, labels: Integers, classes: list[str]) -> Figure:
    """Fifteen images, or one of each class if there are more classes, in the classes' order.

    Of very many classes some are shown, at even distances.
    """
    shown = spread_classes(len(classes), MOST_NAMED)
    chosen = first_of_each(labels, shown, max(USUAL_SAMPLES, len(shown)))
    names = shorten_names(classes, TITLE_NAME)
    columns = 5 if len(chosen) <= USUAL_SAMPLES else 10
    rows = max(3, math.ceil(len(chosen) / columns))
    figure = Figure((10, 5 if columns == 5 else 0.2 + 0.98 * rows))
    label = "Label: " if columns == 5 else ""
    titles = [f"{label}{names[labels[i]]}" for i in chosen]
    image_grid(figure, images[chosen], titles, columns, rows)
    return figure


def first_of_each(labels: Integers, classes: Integers, count: int) -> Indices:
    """Indices of `count` images by class: one of each of these classes, a second, and so on."""
    places = [np.flatnonzero(labels == number)[:count] for number in classes]
    rounds = [[mine[turn] for mine in places if turn < len(mine)] for turn in range(count)]
    chosen = np.array([index for each in rounds for index in each][:count], np.intp)
    return chosen[np.argsort(labels[chosen], kind="stable")]


def predictions(
    images: Images, labels: Integers, predicted: Integers, classes: list[str], right: bool
) -> Figure:
    """The first nine images that were classified rightly, or those that were not."""
    chosen = np.flatnonzero((predicted == labels) == right)[:9]
    names = shorten_names(classes, TITLE_NAME)
    titles = [f"True: {names[labels[i]]}\nPred: {names[predicted[i]]}" for i in chosen]
    figure = Figure((6.5, 7.5))
    figure.suptitle("Correct Predictions" if right else "Wrong Predictions", fontsize=15)
    if len(chosen):
        image_grid(figure, images[chosen], titles, columns=3, rows=3, heading=0.5)
    else:
        figure.text(0.5, 0.5, "There is none.", ha="center")
    return figure


def class_distribution(counts: dict[str, Integers], classes: list[str], class_axis: str) -> Figure:
    """Images (classes,) of each split: bars side by side, or curves if there are many classes."""
    width = side_for(len(classes), 8, 0.15)
    figure = new_figure(width, 5)
    axes = figure.subplots()
    axis_name = shorten_name(class_axis, 2 * AXIS_NAME)
    axes.set(title="Class Distribution", xlabel=axis_name, ylabel="Count")
    colours = dict(zip(counts, (TRAIN, VALIDATION, TEST), strict=False))
    if len(classes) > MOST_NAMED:
        for split, of_split in counts.items():
            ranks = np.arange(1, len(classes) + 1)
            axes.plot(ranks, np.sort(of_split)[::-1], color=colours[split], label=split)
        axes.set_xlabel(f"{len(classes):,} classes of each split, those with most images first")
        axes.set_ylim(0, 1.2 * max(map(max, counts.values())))  # room for the legend
        axes.grid(alpha=0.3)
    else:
        names = shorten_names(classes, AXIS_NAME)
        places, bar = np.arange(len(names)), 0.8 / len(counts)
        for number, (split, of_split) in enumerate(counts.items()):
            middles = places + bar * (number - (len(counts) - 1) / 2)
            bars = axes.bar(middles, of_split, bar, color=colours[split], label=split)
            if len(names) <= MOST_SLANTED:
                axes.bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=2, rotation=90)
        axes.set_xticks(places, names)
        axes.set_xlim(-0.7, len(names) - 0.3)
        axes.margins(y=0.4 if len(names) <= MOST_SLANTED else 0.2)  # for numbers and legend
        fit_labels(axes, names, width - 1)
    axes.legend(loc="upper right", ncols=len(counts))
    sns.despine(figure)
    return figure


def training_curves(history: Columns) -> Figure:
    """Accuracy and loss by epoch, of the training and, if held out, the validation images.

    With these, a line marks the epoch that `train.keep: best` keeps.
    """
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
        if "validation_loss" in history:
            best = history["epoch"][history["validation_loss"].argmin()]
            axes.axvline(best, color="grey", linestyle=":", label="Lowest Validation Loss")
        axes.set(title=f"{name} Curve", xlabel="Epoch", ylabel=name)
        axes.xaxis.set_major_locator(whole_numbers(steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.3)
        axes.legend()
    sns.despine(figure)
    return figure


def confusion_matrix(counts: Integers, classes: list[str]) -> Figure:
    """Counts (true class, predicted class) as numbers in cells, darker for more.

    Of many classes there are shares of the true class, without numbers. Of very many only those
    that are confused most are shown, beside the sum of all others that they are taken for.
    """
    title = "Confusion Matrix"
    names = shorten_names(classes, AXIS_NAME)
    columns = names
    if len(classes) > MOST_NAMED:
        shown = most_confused(counts, SHOWN)
        title = f"Confusion Matrix of the {SHOWN} Most Confused of {len(classes):,} Classes"
        inner = counts[np.ix_(shown, shown)]
        others = counts[shown].sum(axis=1) - inner.sum(axis=1)
        counts = np.column_stack([inner, others])
        names = [names[number] for number in shown]
        columns = [*names, "all others"]
    side = side_for(len(names), 8, 0.25)
    figure = new_figure(10, side)
    axes = figure.subplots()
    ticks: dict[str, Any] = {"xticklabels": columns, "yticklabels": names}
    if len(names) <= MOST_NUMBERED:
        widest = max(len(f"{counts.max():,}"), 3)
        font = min(12, POINTS * 5.8 / len(columns) / (0.65 * widest))
        numbers = [[f"{count:,}" for count in row] for row in counts.tolist()]
        if len(names) > MOST_SLANTED:  # zeros would hide the others
            numbers = [[number.removeprefix("0") for number in row] for row in numbers]
        sns.heatmap(
            counts,
            annot=np.array(numbers),
            annot_kws={"fontsize": font},
            fmt="",
            cmap="Blues",
            ax=axes,
            cbar_kws={"format": "{x:,.0f}", "ticks": whole_numbers()},
            **ticks,
        )
    else:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        sns.heatmap(
            shares,
            cmap="Blues",
            norm=PowerNorm(0.5, 0, 1),  # else a share of a few per cent could not be seen
            ax=axes,
            cbar_kws={"format": PercentFormatter(xmax=1), "label": "Share of the true class"},
            **ticks,
        )
    axes.set(title=title, xlabel="Predicted", ylabel="True")
    axes.tick_params(axis="y", rotation=0, labelsize=font_for(len(names), side - 2))
    fit_labels(axes, columns, 7)
    return figure


def confused_pairs(counts: Integers, classes: list[str], most: int, left_out: int = 0) -> Figure:
    """The pairs of a true and a predicted class that were confused most often.

    `left_out` errors are of pairs so rare that the counts lack them.
    """
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [
        (i, j) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[i, j]
    ]
    height = min(LARGEST_SIDE, 1.5 + 0.35 * max(len(pairs), 3))
    figure = new_figure(8, height)
    axes = figure.subplots()
    font = font_for(len(pairs), height - 1.2)
    short = shorten_names(classes, AXIS_NAME)
    names = [read_from_left(f"{short[i]} as {short[j]}") for i, j in pairs]
    widths = [wrong[pair] for pair in pairs]
    bars = axes.barh(range(len(pairs)), widths, tick_label=names, color=VALIDATION)
    axes.bar_label(bars, padding=3, fontsize=min(12, font + 1))
    axes.tick_params(axis="y", labelsize=font)
    axes.set_ylim(max(len(pairs), 1) - 0.4, -0.6)  # the first pair at the top
    axes.xaxis.set_major_locator(whole_numbers())
    axes.set(
        title=f"Most Confused Pairs (of {wrong.sum() + left_out:,} errors)",
        xlabel="Count",
        ylabel="True as predicted",
    )
    sns.despine(figure)
    return figure


def class_recall(rows: list[dict[str, Any]], classes: list[str], class_axis: str) -> Figure:
    """The share of each class that was recognised, with its 95 % interval, from a row a class.

    In the classes' order, and on one of a few axes, so that two such figures can be compared. Of
    very many classes, those with the lowest recall.
    """
    title, names = "Recall by Class", shorten_names(classes, AXIS_NAME)
    if len(rows) > MOST_NAMED:
        support = np.array([row["support"] for row in rows])
        shown = lowest_recall(np.array([row["recall"] for row in rows]), support, SHOWN)
        title = f"Lowest Recalls of {len(rows):,} Classes"
        rows, names = [rows[number] for number in shown], [names[number] for number in shown]
    height = side_for(len(rows), 5, 0.2)
    font = font_for(len(rows), height - 1.2)
    recall = np.array([row["recall"] for row in rows])
    low, high = np.array([[row["recall_low"], row["recall_high"]] for row in rows]).T
    figure = new_figure(8, height)
    axes = figure.subplots()
    places = range(len(rows))
    axes.errorbar(
        recall,
        places,
        xerr=[recall - low, high - recall],
        fmt="o",
        capsize=min(3, font / 3),
        markersize=min(6, 0.6 * font),
        color=TRAIN,
        clip_on=False,  # a marker at the edge is whole
    )
    axes.set_yticks(places, names, fontsize=font)
    for place, value in zip(places, recall, strict=True):
        axes.annotate(
            f"{value:.1%}",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=min(9, font),
        )
    axes.margins(y=0.5 / len(rows) if len(rows) > MOST_SLANTED else 0.05)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    start = max(start for start in RECALL_AXES if start <= low.min())
    axes.set_xlim(start, 1 + 0.01 * (1 - start))
    axes.grid(axis="x", alpha=0.3)
    axes.set(
        title=title,
        xlabel="Recall, with its 95 % interval",
        ylabel=shorten_name(class_axis, 2 * AXIS_NAME),
    )
    sns.despine(figure)
    return figure


def whole_numbers(steps: list[int] | None = None) -> MaxNLocator:
    """Where an axis of counts has its ticks."""
    return MaxNLocator(integer=True, min_n_ticks=1, steps=steps)


def fit_labels(axes: Axes, names: list[str], width: float) -> None:
    """Turn the horizontal axis' class names where they would run into each other.

    `width` in inches is what they have together.
    """
    if len(names) > MOST_SLANTED:
        axes.tick_params(axis="x", rotation=90, labelsize=font_for(len(names), width))
    elif max(map(len, names)) > 5:
        axes.tick_params(axis="x", rotation=30)
