"""Reads the reports that train and evaluate leave."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shared.errors import HOW_TO_RESTORE, UserError


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {HOW_TO_RESTORE}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON: {error}. {HOW_TO_RESTORE}") from None


def read_confusion(path: Path, class_count: int) -> tuple[npt.NDArray[np.int64], int]:
    """The counts (true class, predicted class), and how many images are of rare pairs left out.

    The file has a row for each class with itself first, in the classes' order. Names in it are
    those of the plots page. Raises UserError if it is not such a file.
    """
    counts = np.zeros((class_count, class_count), np.int64)
    left_out = 0
    try:
        rows = read_json(path)
        number_of = {row["actual"]: number for number, row in enumerate(rows[:class_count])}
        if len(number_of) < class_count:
            raise ValueError(f"those of {len(number_of)}")
        for row in rows:
            if row["actual"] is None:
                left_out += row["count"]
            else:
                counts[number_of[row["actual"]], number_of[row["predicted"]]] = row["count"]
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"{path}: expected counts of {class_count} classes; found {type(error).__name__}: "
            f"{error}. {HOW_TO_RESTORE}"
        ) from None
    return counts, left_out


def read_table(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of a CSV file of numbers, by name."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(header)).T
        return dict(zip(header, columns, strict=True))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {HOW_TO_RESTORE}") from None
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{path}: expected a header and numbers: {error}. {HOW_TO_RESTORE}"
        ) from None
