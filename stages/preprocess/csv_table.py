"""CSV with one row an image: its label, and its pixels as numbers from 0 to 255."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from stages.preprocess.sizes import fit_arrays, shape_of
from stages.preprocess.source import (
    Numbers,
    Pixels,
    Source,
    check_numbers,
    hash_pixels,
    number_groups,
    number_labels,
    number_splits,
    sort_roles,
    split_of_role,
)
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import CsvFormat, Dataset

BLOCK_NUMBERS = 1 << 20  # cells in memory at once, eight bytes each
TABLE_FAULTS = (
    *(pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning),
    UnicodeDecodeError,
)
SPLIT = "split"  # the column that says an image's split, if there is one


class Table(NamedTuple):
    """The images of one file: pixels (count, height, width[, 3]), mapped; the rest (count,)."""

    pixels: Pixels
    labels: list[str]
    splits: list[str]
    groups: list[str]


def read_source(raw: Path, dataset: Dataset, stated: CsvFormat, temporary: Path) -> Source:
    """The images of each file in the order of dataset.yaml; their pixels go to `temporary`."""
    roles = sort_roles(vars(dataset.files))
    tables = [read_table(raw, role, dataset, stated.label, temporary) for role in roles]
    labels = [
        number_table(table, dataset.classes, stated.first_label, raw / f"{role}.csv")
        for role, table in zip(roles, tables, strict=True)
    ]
    splits = [name for table in tables for name in table.splits]
    groups = [name for table in tables for name in table.groups]
    names = [f"{role}.csv, image {row}" for role, table in zip(roles, tables, strict=True)
             for row in range(len(table.labels))]  # fmt: skip
    return Source(
        fit_arrays([table.pixels for table in tables], dataset.images, temporary / "fitted"),
        np.concatenate(labels),
        number_splits(splits, "csv"),
        number_groups(groups) if dataset.splits.group else None,
        names.__getitem__,
        hash_pixels([table.pixels for table in tables]),
    )


def read_table(raw: Path, role: str, dataset: Dataset, label: str, temporary: Path) -> Table:
    """Raises UserError unless the columns are there and each pixel is from 0 to 255."""
    path = raw / f"{role}.csv"
    shape = shape_of(dataset.images)
    table = Table(np.zeros((0, *shape), np.uint8), [], [], [])
    temporary.mkdir(parents=True, exist_ok=True)
    pixels = temporary / f"{role}.pixels"
    group = dataset.splits.group
    texts = {name: str for name in (label, group, SPLIT) if name}
    if not path.is_file():
        raise UserError(f"{path} is missing: `dvc repro fetch` brings it")
    try:
        with (
            warnings.catch_warnings(action="error", category=pd.errors.ParserWarning),
            pixels.open("wb") as file,
            pd.read_csv(
                path, chunksize=max(1, BLOCK_NUMBERS // int(np.prod(shape))), dtype=texts,
                keep_default_na=False, index_col=False, encoding="utf-8-sig",
            ) as blocks,
        ):  # fmt: skip
            for block in blocks:
                refuse_other_columns(list(block.columns), label, group, shape, path)
                values = block.drop(columns=list(texts), errors="ignore")
                file.write(to_bytes(values, path).data)
                table.labels.extend(block[label])
                table.groups.extend(block[group] if group else [])
                own = split_of_role(role)
                table.splits.extend(block[SPLIT] if SPLIT in block else [own] * len(block))
    except TABLE_FAULTS as fault:
        raise UserError(f"{path}: expected a table of comma-separated values: {fault}") from None
    if not table.labels:
        raise UserError(f"{path}: expected a row for each image, found none")
    return table._replace(
        pixels=np.memmap(pixels, np.uint8, "r", shape=(len(table.labels), *shape))
    )


def refuse_other_columns(
    found: list[str], label: str, group: str | None, shape: tuple[int, ...], path: Path
) -> None:
    lacking = [name for name in (label, group) if name and name not in found]
    if lacking:
        raise UserError(
            f"{path}: expected a column named {' and one named '.join(lacking)}; found "
            f"{', '.join(found[:10])} ...: correct format.label or splits.group in dataset.yaml"
        )
    count = len(set(found) - {label, group, SPLIT})
    expected = int(np.prod(shape))
    if count != expected:
        raise UserError(
            f"{path}: expected {expected} columns of pixels for images of "
            f"{' x '.join(map(str, shape))}, found {count}: correct `images` in dataset.yaml"
        )


def to_bytes(values: Any, path: Path) -> Pixels:
    """A table of pixels as uint8. Raises UserError that names the first cell which is none."""
    cells: npt.NDArray[Any] = values.to_numpy()
    if cells.dtype.kind in "iu" and cells.min() >= 0 and cells.max() <= 255:
        return cells.astype(np.uint8, order="C")
    for column in values.columns:
        for row, value in values[column].items():
            if not is_grey_value(value):
                raise UserError(
                    f"{path}: image {row}, column {column}: expected a whole number from 0 to 255, "
                    f"found {value!r}"
                )
    return cells.astype(np.uint8, order="C")


def is_grey_value(value: object) -> bool:
    """Also of text: one cell that is no number makes its whole column text."""
    try:
        return 0 <= int(str(value)) <= 255
    except ValueError:
        return False


def number_table(table: Table, classes: list[str], first_label: int | str, path: Path) -> Numbers:
    """The number of each image's class. Raises UserError for a label of no class."""
    if isinstance(first_label, str):
        return number_labels(table.labels, classes, str(path))
    try:
        numbers = np.array([int(name) for name in table.labels], np.int64)
    except ValueError as fault:
        raise UserError(
            f"{path}: expected labels that are numbers: {fault}. For names of classes write "
            "`first_label: names` in dataset.yaml"
        ) from None
    return check_numbers(numbers, first_label, classes, str(path))
