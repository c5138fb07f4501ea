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
