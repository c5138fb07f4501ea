"""preprocess: raw images of any format to six .npy arrays, some images held out.

Images stay uint8 (count, height, width) or (count, height, width, 3) and labels uint8 (count,),
uint16 above 256 classes: a quarter of float32's disk, cache and memory. Scaling to 0-1 belongs to
the model, so that there is one preprocessing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.preprocess.duplicates import drop_contradictions, number_contents
from stages.preprocess.rows import refuse_full_disk, write_rows
from stages.preprocess.source import Source
from stages.preprocess.split import (
    join_units,
    refuse_absent_classes,
    split_images,
    spread_splits,
)
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.preprocess.encoded import Encoded
    from stages.run.params import Dataset, Preprocess


def main(
    raw: Path, processed: Path, dataset: Dataset, preprocess: Preprocess, scratch: Path
) -> None:
    source = read_source(raw, dataset, scratch)
    contents = number_contents(source)
    kept = drop_contradictions(source, contents, dataset.skip_bad)
    units = join_units(contents, source.groups)[kept]
    own = spread_splits(source.splits[kept], units)
    parts = split_images(
        source.labels[kept], own, units, dataset.classes, dataset.splits, preprocess
    )
    rows = {split: kept[part] for split, part in parts.items()}
    refuse_absent_classes(source.labels, rows, dataset.classes)
    refuse_wrong_suspects(dataset.suspect_test_labels, len(rows["test"]))
    refuse_full_disk(processed, source.pixels, len(kept))
    labels = source.labels.astype(np.uint8 if len(dataset.classes) <= 256 else np.uint16)
    for split, images in rows.items():
        shape = (len(images), *source.pixels.shape)
        print(f"{split}: images {shape}, labels {shape[:1]}, {labels.dtype}")
        write_rows(processed / f"x_{split}.npy", source.pixels, images, shape, np.uint8)
        write_rows(processed / f"y_{split}.npy", labels, images, shape[:1], labels.dtype)


def read_source(raw: Path, dataset: Dataset, scratch: Path) -> Source:
    """The raw images by the reader of their format, decoded if they are image files."""
    stated: Any = dataset.format
    # Imported when needed: each brings a library that the others do without.
    match stated.name:
        case "idx":
            from stages.preprocess.idx import read_source as read_idx  # noqa: PLC0415

            return read_idx(raw, dataset, stated, scratch)
        case "npz":
            from stages.preprocess.npz import read_source as read_npz  # noqa: PLC0415

            return read_npz(raw, dataset, stated, scratch)
        case "csv":
            from stages.preprocess.csv_table import read_source as read_csv  # noqa: PLC0415

            return read_csv(raw, dataset, stated, scratch)
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
