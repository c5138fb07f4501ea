"""reports/data.json: how many images there are, of what classes, and what was found in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.preprocess.corrections import DROPPED
from stages.shared.atomic_write import atomic_write

if TYPE_CHECKING:
    from stages.preprocess.main import Selection


def count_images(selection: Selection, classes: list[str]) -> dict[str, Any]:
    """What data.json holds: totals, which `dvc metrics diff` shows, and a list of the classes.

    Counts are of the images in the arrays, but for three: duplicates across splits and conflicting
    labels are images that skip_bad has left out, dropped images those that a correction keeps from
    training and validation. The classes count labels as the arrays have them.
    """
    rows, contents = selection.rows, selection.contents
    used = np.concatenate(list(rows.values()))
    learnt_from = np.concatenate([rows["train"], rows["validation"]])
    given, corrected = selection.source.labels, selection.labels
    is_test = np.isin(np.arange(len(given)), rows["test"])
    counts = {
        split: np.bincount(selection.labels_of(split), minlength=len(classes)).tolist()
        for split in rows
    }
    return {
        **{f"{split}_images": len(images) for split, images in rows.items()},
        "duplicates_within_splits": sum(
            len(images) - len(np.unique(contents.numbers[images])) for images in rows.values()
        ),
        "duplicates_across_splits": int(selection.left_out.in_split.sum()),
        "conflicting_labels": int(selection.left_out.in_label.sum()),
        "constant_images": int(contents.is_constant[used].sum()),
        "relabelled_images": int((corrected != given)[learnt_from].sum()),
        "dropped_images": int((corrected[~is_test] == DROPPED).sum()),
        "corrected_test_labels": int((corrected != given)[rows["test"]].sum()),
        "classes": [
            {"class": name, **{split: counts[split][number] for split in rows}}
            for number, name in enumerate(classes)
        ],
    }


def write_counts(path: Path, counts: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write((json.dumps(counts, indent=2) + "\n").encode())
