"""preprocess: raw images of any format to .npy arrays, labels corrected, some images held out.

Images stay uint8 (count, height, width) or (count, height, width, 3) and labels uint8 (count,),
uint16 above 256 classes: a quarter of float32's disk, cache and memory. Scaling to 0-1 belongs to
the model, so that there is one preprocessing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.preprocess.absent_classes import refuse_absent_classes
from stages.preprocess.corrections import DROPPED, correct_labels, read_corrections
from stages.preprocess.counts import count_images, write_counts
from stages.preprocess.duplicates import (
    Contents,
    Contradictions,
    compare_pixels,
    find_contradictions,
)
from stages.preprocess.rows import refuse_full_disk, write_labels, write_rows
from stages.preprocess.source import Numbers, Source
from stages.preprocess.split import Given, Indices, join_units, split_images, spread_splits
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.preprocess.encoded import Encoded
    from stages.run.params import Dataset, NamedDataset, Preprocess

LEARNT_FROM = ("train", "validation")  # the splits whose labels are corrected


@dataclass(frozen=True)
class Selection:
    """Which images go where; arrays (count,) are of all images of the source.

    `labels` are the corrected ones, DROPPED for images that a correction drops. `rows` are the
    images of train, validation and test in the order of the arrays: of test also the dropped ones.
    """

    source: Source
    labels: Numbers
    rows: dict[str, Indices]
    contents: Contents
    left_out: Contradictions

    def labels_of(self, split: str) -> Numbers:
        """The labels as y_SPLIT.npy has them: corrected, of test images as given."""
        return (self.source.labels if split == "test" else self.labels)[self.rows[split]]


def main(
    data: Path, raw: Path, processed: Path, reports: Path, dataset: NamedDataset,
    preprocess: Preprocess, temporary: Path,
) -> None:  # fmt: skip
    corrections = data / dataset.folder / "corrections.csv"
    selection = select_images(raw, corrections, dataset, preprocess, temporary)
    pixels, rows = selection.source.pixels, selection.rows
    refuse_full_disk(processed, pixels, sum(map(len, rows.values())))
    dtype = np.uint8 if len(dataset.classes) <= 256 else np.uint16
    for split, images in rows.items():
        shape = (len(images), *pixels.shape)
        print(f"{split}: images {shape}, labels {shape[:1]}, {np.dtype(dtype)}")
        write_rows(processed / f"x_{split}.npy", pixels, images, shape, np.uint8)
        write_labels(processed / f"y_{split}.npy", selection.labels_of(split), dtype)
    write_labels(processed / "y_test_trusted.npy", selection.labels[rows["test"]], np.int32)
    write_counts(reports / "data.json", count_images(selection, dataset.classes))


def select_images(
    raw: Path, corrections: Path, dataset: Dataset, preprocess: Preprocess, temporary: Path
) -> Selection:
    """Read the source, correct its labels, and split it by the labels as given.

    `corrections` is the path of corrections.csv. Nothing is written but to `temporary`. Raises
    UserError for all that is wrong with the source, its splits or its corrections.
    """
    stated = read_corrections(corrections, dataset.classes)
    source = read_source(raw, dataset, temporary)
    labels = correct_labels(source, stated, dataset.classes, corrections)
    contents = compare_pixels(source)
    left_out = find_contradictions(source, labels, contents.numbers, dataset.skip_bad)
    shared = np.flatnonzero(~left_out.in_split)
    units = join_units(contents.numbers, source.groups)[shared]
    own = spread_splits(source.splits[shared], units)
    given = Given(source.labels[shared], own, units)
    parts = split_images(given, dataset.classes, dataset.splits, preprocess)
    rows = {split: shared[part] for split, part in parts.items()}
    rows = {split: images[~left_out.in_label[images]] for split, images in rows.items()}
    rows |= {split: rows[split][labels[rows[split]] != DROPPED] for split in LEARNT_FROM}
    selection = Selection(source, labels, rows, contents, left_out)
    refuse_absent_classes(
        {split: selection.labels_of(split) for split in rows},
        dataset.classes, given, parts, dataset.splits, preprocess,
    )  # fmt: skip
    refuse_no_trusted_label(labels[rows["test"]], corrections)
    return selection


def refuse_no_trusted_label(labels: Numbers, corrections: Path) -> None:
    """Raise UserError if corrections drop every test image; `labels` are the corrected ones."""
    if (labels == DROPPED).all():
        raise UserError(
            f"{corrections} drops all {len(labels):,} test images, which leaves none to score the "
            "model by: drop only those whose label is wrong"
        )


def read_source(raw: Path, dataset: Dataset, temporary: Path) -> Source:
    """The raw images by the reader of their format, decoded if they are image files."""
    stated: Any = dataset.format
    # Imported when needed: each brings a library that the others do without.
    match stated.name:
        case "idx":
            from stages.preprocess.idx import read_source as read_idx  # noqa: PLC0415

            return read_idx(raw, dataset, stated, temporary)
        case "npz":
            from stages.preprocess.npz import read_source as read_npz  # noqa: PLC0415

            return read_npz(raw, dataset, stated, temporary)
        case "csv":
            from stages.preprocess.csv_table import read_source as read_csv  # noqa: PLC0415

            return read_csv(raw, dataset, stated, temporary)
        case "parquet":
            from stages.preprocess.parquet import read_encoded as read_parquet  # noqa: PLC0415

            return decode_files(read_parquet(raw, dataset, stated), dataset)
    from stages.preprocess.packed import read_encoded as read_packed  # noqa: PLC0415

    return decode_files(read_packed(raw, dataset, stated), dataset)


def decode_files(encoded: Encoded, dataset: Dataset) -> Source:
    """The images of image files, kept decoded in the user's cache folder."""
    import pooch  # noqa: PLC0415

    from stages.preprocess.encoded import decode_source  # noqa: PLC0415

    return decode_source(encoded, dataset, Path(pooch.os_cache("dvc-image-pipeline")) / "decoded")
