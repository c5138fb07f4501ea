"""preprocess: IDX files to .npy arrays, some of the training images split off for validation.

Images stay uint8 (count, height, width) and labels uint8 (count,): a quarter of float32's disk,
cache and memory. Scaling to 0-1 belongs to the model, so that there is one preprocessing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.preprocess.idx import Bytes, read_idx
from stages.preprocess.rows import write_rows
from stages.preprocess.split import refuse_absent_classes, split_indices
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset, Preprocess


def main(raw: Path, processed: Path, dataset: Dataset, preprocess: Preprocess) -> None:
    images, labels = read_pair(raw, "train", dataset.classes)
    test_images, test_labels = read_pair(raw, "test", dataset.classes)
    refuse_other_sizes(images, test_images)
    refuse_wrong_suspects(dataset.suspect_test_labels, len(test_labels))
    train, validation = split_indices(labels, **vars(preprocess))
    refuse_absent_classes(labels, train, validation, dataset.classes)
    for split, (x, y), rows in [
        ("train", (images, labels), train),
        ("validation", (images, labels), validation),
        ("test", (test_images, test_labels), np.arange(len(test_labels))),
    ]:
        shape = (len(rows), *x.shape[1:])
        print(f"{split}: images {shape}, labels {shape[:1]}, uint8")
        write_rows(processed / f"x_{split}.npy", x, rows)
        write_rows(processed / f"y_{split}.npy", y, rows)


def read_pair(raw: Path, split: str, classes: list[str]) -> tuple[Bytes, Bytes]:
    """Images (count, height, width) and labels (count,) of one split, checked against each other.

    Raises UserError if counts differ, a label is out of range or a class has no image.
    """
    images = read_idx(raw / f"{split}_images.idx", dimensions=3)
    path = raw / f"{split}_labels.idx"
    labels = read_idx(path, dimensions=1)
    if len(images) != len(labels):
        raise UserError(f"{path}: expected {len(images)} labels, one an image; found {len(labels)}")
    counts = np.bincount(labels, minlength=len(classes))
    if len(counts) > len(classes):
        expected = f"labels from 0 to {len(classes) - 1}, one a class of dataset.yaml"
        raise UserError(f"{path}: expected {expected}; found {len(counts) - 1}")
    absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if absent:
        raise UserError(f"{path}: expected images of every class; found none of {absent}")
    return images, labels


def refuse_other_sizes(images: Bytes, test_images: Bytes) -> None:
    """Raise UserError unless the test images are as large as the training images."""
    (height, width), (test_height, test_width) = images.shape[1:], test_images.shape[1:]
    if (height, width) != (test_height, test_width):
        raise UserError(
            f"expected test images of {height} x {width} pixels, as the training images are; found "
            f"{test_height} x {test_width}: correct `files` in dataset.yaml"
        )


def refuse_wrong_suspects(suspects: list[int], count: int) -> None:
    """Raise UserError if an index is no test image's, or if every test label is suspect."""
    beyond = sorted(index for index in set(suspects) if index >= count)
    if beyond:
        raise UserError(
            f"dataset.yaml: suspect_test_labels: expected indices of the {count} test images, from "
            f"0 to {count - 1}; found {', '.join(map(str, beyond[:10]))}"
        )
    if len(set(suspects)) == count:
        raise UserError(
            f"dataset.yaml: suspect_test_labels names all {count} test images, which leaves none "
            "to score the model by: name only those that are wrong"
        )
