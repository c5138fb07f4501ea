"""Rows of an array that may be larger than memory, as an .npy file."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import write_array_header_1_0

from stages.shared.atomic_write import atomic_write

BLOCK_ROWS = 4096  # rows in memory at once


def write_rows(path: Path, array: npt.NDArray[Any], rows: npt.NDArray[np.intp]) -> None:
    """Write these rows of an array, which may be mapped from a file larger than memory, as .npy."""
    header = {
        "descr": array.dtype.str,
        "fortran_order": False,
        "shape": (len(rows), *array.shape[1:]),
    }
    with atomic_write(path) as file:
        write_array_header_1_0(file, header)
        for start in range(0, len(rows), BLOCK_ROWS):
            file.write(np.ascontiguousarray(array[rows[start : start + BLOCK_ROWS]]).data)
