"""Two models on the same images, in numbers: scores, recall by class, what was fixed and broken."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import hstack, issparse

from stages.shared.scores import Floats, Labels, Probabilities, is_hit
from tools.compare.metrics import METRICS
from tools.compare.statistics import (
    Columns,
    bootstrap_estimate,
    holm,
    mcnemar,
    paired_shares,
    resampled_means,
)
from tools.compare.verdicts import verdict

Row = dict[str, Any]
Counts = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

BOOTSTRAP_SEED = 0  # of the bootstrap: the same two models give the same rows


def metric_rows(a: Probabilities, b: Probabilities, labels: Labels) -> list[Row]:
    """Each metric of both models, their difference, its 95 % interval, p value and verdict.

    Every bootstrap draw of images serves both models and all metrics.
    """
    kinds = list(dict.fromkeys(metric.columns for metric in METRICS))  # metrics share columns
    columns = [of_images(model, labels) for model in (a, b) for of_images in kinds]
    resampled = resample(columns)
    rows = []
    for metric in METRICS:
        number = kinds.index(metric.columns)
        pair = (number, number + len(kinds))
        value_a, value_b = (float(metric.value(columns[i].mean(axis=0))) for i in pair)
        drawn_a, drawn_b = (metric.value(resampled[i]) for i in pair)
        if metric.name == "accuracy":
            fixed, broken = map(count_true, fixed_and_broken(a, b, labels))
            estimate = paired_shares(fixed, broken, len(labels))
        else:
            estimate = bootstrap_estimate(value_b - value_a, drawn_b - drawn_a)
        said = verdict(estimate.difference, estimate.p, metric.higher_is_better)
        rows.append(
            {
                "metric": metric.name,
                "a": value_a,
                "b": value_b,
                **estimate._asdict(),
                "verdict": said,
            }
        )
    return rows


def resample(columns: list[Columns]) -> list[Floats]:
    """The bootstrap's means of each table of columns, from one product for all of its kind."""
    kinds = [
        [number for number, table in enumerate(columns) if issparse(table) == sparse]
        for sparse in (False, True)
    ]
    dense, sparse = ([columns[number] for number in kind] for kind in kinds)
    tables = [np.hstack(dense), hstack(sparse, format="csr")]
    means = resampled_means(tables, np.random.default_rng(BOOTSTRAP_SEED))
    found: dict[int, Floats] = {}
    for kind, of_kind in zip(kinds, means, strict=True):
        ends = np.cumsum([columns[number].shape[1] for number in kind])[:-1]
        found |= dict(zip(kind, np.split(of_kind, ends, axis=1), strict=True))
    return [found[number] for number in range(len(columns))]


def fixed_and_broken(a: Probabilities, b: Probabilities, labels: Labels) -> tuple[Mask, Mask]:
    """Which images only B is right for, and which only A."""
    a_right, b_right = is_hit(a, labels), is_hit(b, labels)
    return b_right & ~a_right, a_right & ~b_right


def count_true(mask: Mask) -> int:
    return int(mask.sum())


def class_rows(a: Probabilities, b: Probabilities, labels: Labels, classes: list[str]) -> list[Row]:
    """The recall of each class in both models, what moved, and a p value corrected by Holm."""
    rows: list[Row] = []
    for index, name in enumerate(classes):
        mine = labels == index
        fixed, broken = map(count_true, fixed_and_broken(a[mine], b[mine], labels[mine]))
        counts = [np.bincount(m[mine].argmax(axis=1), minlength=len(classes)) for m in (a, b)]
        images = int(mine.sum())
        recall_a, recall_b = (float(count[index] / max(images, 1)) for count in counts)
        rows.append(
            {"class": name, "images": images, "a": recall_a, "b": recall_b,
             "difference": recall_b - recall_a, "fixed": fixed, "broken": broken,
             "largest_change": largest_change(counts[0], counts[1], index, classes)}
        )  # fmt: skip
    for row, p in zip(rows, holm([mcnemar(r["fixed"], r["broken"]) for r in rows]), strict=True):
        row |= {"p": p, "verdict": verdict(row["difference"], p, higher_is_better=True)}
    return rows


def largest_change(a: Counts, b: Counts, index: int, classes: list[str]) -> Row | None:
    """The wrong class for which a class's images are taken more or less often than before."""
    change = np.abs(b - a)
    change[index] = 0
    most = int(change.argmax())
    if change[most] == 0:
        return None
    return {"taken_for": classes[most], "a": int(a[most]), "b": int(b[most])}
