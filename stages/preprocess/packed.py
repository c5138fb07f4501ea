"""images.tar and images.csv, as fetch packs folders, zips and tars of image files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stages.preprocess.encoded import Encoded
from stages.preprocess.source import number_groups, number_labels, number_splits
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Dataset, FolderFormat

RENEW = "`dvc repro -f fetch` renews it"


def read_encoded(raw: Path, dataset: Dataset, _stated: FolderFormat) -> Encoded:
    """The packed images, by the table beside them. Raises UserError for damaged files."""
    path = raw / "images.csv"
    paths: list[str] = []
    labels: list[str] = []
    splits: list[str] = []
    groups: list[str] = []
    places: list[tuple[int, int]] = []
    digests = bytearray()
    try:
        with path.open(encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table):
                paths.append(row["path"])
                labels.append(row["label"])
                splits.append(row["split"])
                groups.append(row["group"])
                places.append((int(row["offset"]), int(row["bytes"])))
                digests += bytes.fromhex(row["sha256"])
    except FileNotFoundError:
        raise UserError(f"{path} is missing: `dvc repro fetch` brings it") from None
    except (KeyError, ValueError, TypeError, csv.Error) as fault:
        raise UserError(f"{path}: expected the table that fetch writes: {fault}. {RENEW}") from None
    tar = raw / "images.tar"
    size = tar.stat().st_size if tar.is_file() else 0
    where = np.array(places, np.int64).reshape(-1, 2)
    if not len(where) or where.sum(axis=1).max() > size:
        raise UserError(f"{tar}: {size:,} bytes are fewer than images.csv says. {RENEW}")

    def read_contents(rows: Sequence[int]) -> Iterator[bytes]:
        with tar.open("rb") as file:
            for row in rows:
                offset, count = places[row]
                file.seek(offset)
                yield file.read(count)

    return Encoded(
        number_labels(labels, dataset.classes, str(path)),
        number_splits(splits, str(path)),
        find_groups(paths, groups, dataset.splits.group),
        np.frombuffer(bytes(digests), np.uint8).reshape(-1, 32),
        read_contents,
        paths.__getitem__,
    )


def find_groups(paths: list[str], groups: list[str], pattern: str) -> npt.NDArray[np.int64] | None:
    """The group of each image: by labels.csv's column `group`, or by a pattern over its path.

    Images whose path has the same text in the pattern's parentheses belong together. Raises
    UserError if the pattern fits no path, or is none.
    """
    if not pattern:
        return None
    if pattern == "group":
        if not any(groups):
            raise UserError(
                "dataset.yaml: splits.group: labels.csv has no values in a column named group"
            )
        return number_groups(groups)
    try:
        found = [re.search(pattern, path) for path in paths]
        names = [match.group(1) if match else "" for match in found]
    except (re.error, IndexError) as fault:
        raise UserError(
            f"dataset.yaml: splits.group: expected a regular expression with one pair of "
            f"parentheses, or the column group; found {pattern!r}: {fault}"
        ) from None
    if not all(names):
        lacking = [path for path, name in zip(paths, names, strict=True) if not name]
        raise UserError(
            f"dataset.yaml: splits.group: {pattern!r} fits {len(paths) - len(lacking):,} of "
            f"{len(paths):,} paths, and not {', '.join(lacking[:5])}"
        )
    return number_groups(names)
