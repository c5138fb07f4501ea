"""Parquet as the Hugging Face hub has it: a column of image files and one of labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.preprocess.encoded import Encoded
from stages.preprocess.source import (
    Numbers,
    check_numbers,
    number_groups,
    number_labels,
    number_splits,
    sort_roles,
    split_of_role,
)
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset, ParquetFormat

BATCH_ROWS = 64  # images in memory at once
PARQUET_FAULTS = (OSError, ValueError, NotImplementedError)  # of which pyarrow makes its own
BUFFER_BYTES = 1 << 20  # read at once of a column; without it, the whole of a row group


def read_encoded(raw: Path, dataset: Dataset, stated: ParquetFormat) -> Encoded:
    """The image files in each parquet file, in the order of dataset.yaml.

    An image is a struct with `bytes`, as the hub writes it, or bytes alone; a label is a number or
    a name. Raises UserError for other columns, or without the library pyarrow.
    """
    roles = sort_roles(vars(dataset.files))
    paths = [raw / f"{role}.parquet" for role in roles]
    group = dataset.splits.group
    columns = [stated.image, stated.label, *([group] if group else [])]
    labels: list[Any] = []
    splits: list[str] = []
    groups: list[str] = []
    names: list[str] = []
    digests = bytearray()
    for role, path in zip(roles, paths, strict=True):
        before = len(labels)
        for batch in read_batches(path, columns):
            for content in contents_of(batch, stated.image, path):
                digests += hashlib.sha256(content).digest()
            labels += batch[stated.label].to_pylist()
            groups += names_of_groups(batch[group]) if group else []
        count = len(labels) - before
        names += [f"{path.name}, image {row}" for row in range(count)]
        splits += [split_of_role(role)] * count
    where = ", ".join(path.name for path in paths)
    return Encoded(
        number_values(labels, dataset.classes, stated.first_label, where),
        number_splits(splits, where),
        number_groups(groups) if group else None,
        np.frombuffer(bytes(digests), np.uint8).reshape(-1, 32),
        lambda rows: read_contents(paths, stated.image, rows),
        names.__getitem__,
    )


def names_of_groups(column: Any) -> list[str]:
    return ["" if name is None else str(name) for name in column.to_pylist()]


def read_contents(paths: list[Path], column: str, rows: Sequence[int]) -> Iterator[bytes]:
    """The image files of these rows, in rising order."""
    wanted, row = set(rows), 0
    for path in paths:
        for batch in read_batches(path, [column]):
            for content in contents_of(batch, column, path):
                if row in wanted:
                    yield content
                row += 1


def number_values(
    labels: list[Any], classes: list[str], first_label: int | str, where: str
) -> Numbers:
    """The number of each image's class, from numbers or names."""
    lacking = sum(label is None for label in labels)
    if not labels or lacking:
        raise UserError(f"{where}: expected a label for each image, {lacking:,} are missing")
    if isinstance(first_label, str):
        return number_labels([str(label) for label in labels], classes, where)
    if not isinstance(labels[0], int):
        raise UserError(
            f"{where}: expected labels that are numbers, found {labels[0]!r}: for names of classes "
            "write `first_label: names` in dataset.yaml"
        )
    return check_numbers(np.array(labels, np.int64), first_label, classes, where)


def read_batches(path: Path, columns: list[str]) -> Iterator[Any]:
    """Batches of rows with these columns."""
    parquet = import_pyarrow()
    try:
        with parquet.ParquetFile(path, buffer_size=BUFFER_BYTES) as file:
            found = file.schema_arrow.names
            lacking = [name for name in columns if name not in found]
            if lacking:
                raise UserError(
                    f"{path}: expected a column named {' and one named '.join(lacking)}; found "
                    f"{', '.join(found)}: correct `format` or splits.group in dataset.yaml"
                )
            yield from file.iter_batches(BATCH_ROWS, columns=columns)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: `dvc repro fetch` brings it") from None
    except PARQUET_FAULTS as fault:
        raise UserError(f"{path}: expected a complete parquet file: {fault}") from None


def import_pyarrow() -> Any:
    try:
        import pyarrow.parquet  # noqa: PLC0415  # an extra, and slow to import
    except ImportError:
        raise UserError(
            "the format parquet needs the library pyarrow: `.venv/bin/pip install pyarrow`"
        ) from None
    return pyarrow.parquet


def contents_of(batch: Any, column: str, path: Path) -> Iterator[bytes]:
    """The bytes of each image of a batch."""
    for value in batch[column].to_pylist():
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise UserError(
                f"{path}: column {column}: expected the bytes of image files, found "
                f"{type(content).__name__}; images that lie elsewhere are not in the file"
            )
        yield content


def names_of_classes(path: Path, label: str) -> list[str]:
    """The names that the hub keeps in the file's own description; [] if there are none."""
    with import_pyarrow().ParquetFile(path) as file:
        described = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = json.loads(described)["info"]["features"]
        return list(features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return []
