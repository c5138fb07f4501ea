"""What two stages read or write alike. A file appears under its name whole or not at all."""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap, write_array_header_1_0

from stages import StageError

HEAL = "`dvc repro` makes it anew, `dvc checkout` or `dvc pull` brings it back"
BLOCK = 4096  # rows in memory at once
# What NumPy raises for a damaged header, depending on which byte is wrong.
NOT_AN_ARRAY = (ValueError, TypeError, SyntaxError, TokenError, OverflowError)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` once the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of an .npy file, mapped into memory and read-only; pickled objects are refused.

    Mapping checks the header's shape against the file's size before any memory is taken.
    """
    try:
        return open_memmap(path, mode="r")
    except FileNotFoundError:
        raise StageError(f"{path} is missing: {HEAL}") from None
    except NOT_AN_ARRAY as error:
        raise StageError(f"{path}: expected a whole .npy array: {error}. {HEAL}") from None


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    with replacing(path) as file:
        np.save(file, array, allow_pickle=False)


def write_rows(path: Path, array: npt.NDArray[Any], rows: npt.NDArray[np.intp]) -> None:
    """These rows of an array, which may be mapped from a file larger than memory, as .npy."""
    header = {
        "descr": array.dtype.str,
        "fortran_order": False,
        "shape": (len(rows), *array.shape[1:]),
    }
    with replacing(path) as file:
        write_array_header_1_0(file, header)
        for start in range(0, len(rows), BLOCK):
            file.write(np.ascontiguousarray(array[rows[start : start + BLOCK]]).data)


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path} is missing: {HEAL}") from None
    except (ValueError, RecursionError) as error:
        raise StageError(f"{path}: expected JSON: {error}. {HEAL}") from None


def write_json(path: Path, value: object) -> None:
    with replacing(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


def read_table(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of a CSV file of numbers, by name."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(header)).T
        return dict(zip(header, columns, strict=True))
    except FileNotFoundError:
        raise StageError(f"{path} is missing: {HEAL}") from None
    except (ValueError, csv.Error) as error:
        raise StageError(f"{path}: expected a header and numbers: {error}. {HEAL}") from None


def write_table(path: Path, columns: Mapping[str, Iterable[object]]) -> None:
    rows = zip(*columns.values(), strict=True)
    with replacing(path) as file:
        for row in [columns, *rows]:
            file.write((",".join(map(str, row)) + "\n").encode())
