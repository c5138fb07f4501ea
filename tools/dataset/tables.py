"""Looks at tables of images: CSV with pixels, parquet with image files."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.fetch.listing import SPLITS
from stages.preprocess import csv_table, parquet
from stages.preprocess.source import split_of_role
from stages.shared.errors import UserError
from tools.dataset.found import Found, SourceFile, name_classes, number_classes
from tools.dataset.image_files import SAMPLES, look_at_image

BLOCK_ROWS = 1024  # of a CSV in memory at once
LABELS = ("label", "labels", "class", "target", "fine_label")  # the usual names, first one first


def look_at_tables(
    path: Path, kind: str, files: list[SourceFile], label: str | None, group: str | None
) -> Found:
    """Tables of one kind; those without the column of the label are left out, if one has it."""
    found = Found(path, {"name": kind}, files, group=group)
    try:
        columns = {file: columns_of(file.path, kind) for file in files}
        label = find_label(label, columns)
        found.files = [file for file in files if label in columns[file]]
        found.others += [
            f"{file.path.name}: no column {label}" for file in files if file not in found.files
        ]
        if kind == "parquet":
            look_at_parquet(found, label, columns)
        else:
            look_at_csv(found, label)
    except UserError as fault:
        found.problems.append(str(fault))
    found.bytes = sum(file.path.stat().st_size for file in found.files)
    return found


def columns_of(path: Path, kind: str) -> dict[str, str]:
    """The columns of a table; of parquet with their types."""
    if kind == "parquet":
        try:
            with parquet.import_pyarrow().ParquetFile(path) as file:
                return {field.name: str(field.type) for field in file.schema_arrow}
        except (OSError, ValueError) as fault:
            raise UserError(f"{path}: expected a complete parquet file: {fault}") from None
    try:
        header = pd.read_csv(path, nrows=0, encoding="utf-8-sig")
    except csv_table.TABLE_FAULTS as fault:
        raise UserError(f"{path}: expected a table of comma-separated values: {fault}") from None
    return dict.fromkeys(header.columns, "")


def find_label(label: str | None, columns: dict[SourceFile, dict[str, str]]) -> str:
    known = list(dict.fromkeys(name for each in columns.values() for name in each))
    for name in [label] if label else LABELS:
        if name in known:
            return name
    shown = ", ".join(known[:10]) + (" ..." if len(known) > 10 else "")
    raise UserError(
        f"no column named {label or ' or '.join(LABELS)}, found {shown}: name the column of the "
        "label, --label COLUMN"
    )


def add_labels(found: Found, labels: Counter[Any], names: list[str] | None = None) -> None:
    """Classes by number if all labels are such from 0 or 1 on without a gap, else by name."""
    lacking = sum(n for value, n in labels.items() if value is None or value == "")
    if lacking:
        found.problems.append(f"{lacking:,} images have no label")
        return
    if not all(re.fullmatch(r"0|[1-9]\d{0,8}", str(value)) for value in labels):
        found.format["first_label"] = "names"
        name_classes(found, Counter({str(value): n for value, n in labels.items()}))
        return
    numbers = Counter({int(value): n for value, n in labels.items()})
    first = min(numbers, default=0)
    if names or (first <= 1 and len(numbers) == max(numbers, default=0) - first + 1):
        number_classes(found, numbers, names)
    else:
        found.format["first_label"] = "names"
        found.notes.append("labels are numbers with gaps: taken as names of classes")
        name_classes(found, Counter({str(value): n for value, n in labels.items()}))


def look_at_csv(found: Found, label: str) -> None:
    found.format["label"] = label
    labels: Counter[str] = Counter()
    groups: set[str] = set()
    counts = set()
    texts = {name: str for name in (label, found.group, csv_table.SPLIT) if name}
    for file in found.files:
        own = split_of_role(file.role)
        try:
            with (warnings.catch_warnings(action="error", category=pd.errors.ParserWarning),
                pd.read_csv(
                file.path, chunksize=BLOCK_ROWS, dtype=texts, keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
            ) as blocks):  # fmt: skip
                for block in blocks:
                    if found.group and found.group not in block:
                        raise UserError(f"{file.path}: no column named {found.group}")
                    pixels = block.drop(columns=list(texts), errors="ignore")
                    values = csv_table.to_bytes(pixels, file.path)
                    counts.add(values.shape[1])
                    labels.update(block[label])
                    splits = block.get(csv_table.SPLIT, [own] * len(block))
                    names = block[found.group] if found.group else [""] * len(block)
                    groups.update(names)
                    found.splits.update(splits)
                    found.members.update(zip(block[label], splits, names, strict=True))
        except csv_table.TABLE_FAULTS as fault:
            raise UserError(f"{file.path}: expected comma-separated values: {fault}") from None
    wrong = sorted(set(found.splits) - {"", *SPLITS.values()})
    if wrong:
        found.problems.append(f"column split: expected train, validation, test; found {wrong}")
    found.groups = len(groups) if found.group else 0
    if len(counts) != 1:
        raise UserError(f"expected as many pixels in each file, found {sorted(counts)}")
    add_labels(found, labels)
    add_pixels(found, counts.pop())


def add_pixels(found: Found, count: int) -> None:
    """The size that a number of pixels says, if it is a square in grey or colour."""
    found.is_array = found.is_fixed_size = True
    for channels, mode in ((1, "L"), (3, "RGB")):
        side = math.isqrt(count // channels)
        if side * side * channels == count and side:
            found.sizes[side, side] = found.count
            found.modes[mode] = found.count
            found.has_colour = mode == "RGB"
            return
    found.notes.append(f"{count} pixels an image are no square: say --size HEIGHTxWIDTH")
    found.sizes[1, count] = found.count
    found.modes["L"] = found.count


def look_at_parquet(found: Found, label: str, columns: dict[SourceFile, dict[str, str]]) -> None:
    described = columns[found.files[0]]
    images = [
        name
        for name, kind in described.items()
        if kind in ("binary", "large_binary") or re.match(r"struct<.*\bbytes: ", kind)
    ]
    if len(images) != 1:
        raise UserError(
            f"expected one column of image files (binary, or a struct with bytes); found "
            f"{images or dict(list(described.items())[:10])}"
        )
    found.format |= {"image": images[0], "label": label}
    wanted = [images[0], label, *([found.group] if found.group else [])]
    labels: Counter[Any] = Counter()
    groups: set[str] = set()
    row = 0
    for file in found.files:
        before = row
        for batch in parquet.read_batches(file.path, wanted):
            given = batch[label].to_pylist()
            labels.update(given)
            names = (
                parquet.names_of_groups(batch[found.group]) if found.group else [""] * len(given)
            )
            groups.update(names)
            own = [split_of_role(file.role)] * len(given)
            found.members.update(zip(given, own, names, strict=True))
            for content in parquet.contents_of(batch, images[0], file.path):
                name = f"{file.path.name}, image {row - before}"
                look_at_image(found, name, content, row % SAMPLES == 0)
                row += 1
        found.splits[split_of_role(file.role)] += row - before
    found.groups = len(groups) if found.group else 0
    kept = parquet.names_of_classes(found.files[0].path, label)
    are_numbers = all(isinstance(value, int | np.integer) for value in labels)
    add_labels(found, labels, kept if kept and are_numbers else None)
