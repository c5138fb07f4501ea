"""Arrays as .npy files."""

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from stages.shared.atomic_write import atomic_write
from stages.shared.errors import HOW_TO_RESTORE, UserError

# What NumPy raises for a damaged header, depending on which byte is wrong.
HEADER_ERRORS = (ValueError, TypeError, SyntaxError, TokenError, OverflowError)


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of an .npy file, mapped into memory and read-only; pickled objects are refused.

    Mapping compares the header's shape with the file's size before it takes any memory.
    """
    try:
        return open_memmap(path, mode="r")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {HOW_TO_RESTORE}") from None
    except HEADER_ERRORS as error:
        raise UserError(
            f"{path}: expected a complete .npy array: {error}. {HOW_TO_RESTORE}"
        ) from None


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    with atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)
