"""The IDX format, in which MNIST and its relatives come (yann.lecun.com/exdb/mnist)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError

Bytes = npt.NDArray[np.uint8]


def read_idx(path: Path, dimensions: int) -> Bytes:
    """An IDX file of unsigned bytes, mapped into memory and read-only.

    The format: two zero bytes, the type (8 is unsigned byte), the number of dimensions, each
    dimension as a big-endian 32-bit number, then the values (yann.lecun.com/exdb/mnist).
    Raises UserError unless magic number, dimensions and the file's length all fit.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: `dvc repro fetch` brings it")
    size = path.stat().st_size
    header_size = 4 + 4 * dimensions
    with path.open("rb") as file:
        header = file.read(header_size)
    magic = bytes([0, 0, 8, dimensions])
    if header[:4] != magic or len(header) < header_size:
        raise wrong_content_error(
            path,
            f"a header of {header_size} bytes that starts with {magic.hex()}",
            header.hex() or "nothing",
        )
    shape = tuple(int(number) for number in np.frombuffer(header, ">u4", offset=4))
    expected = header_size + int(np.prod(shape, dtype=object))
    if size != expected or 0 in shape:
        raise wrong_content_error(
            path, f"{expected:,} bytes for the shape {shape}, none of it 0", f"{size:,}"
        )
    return np.memmap(path, np.uint8, "r", offset=header_size, shape=shape)


def wrong_content_error(path: Path, expected: str, found: str) -> UserError:
    return UserError(f"{path}: expected {expected}; found {found}. `dvc repro -f fetch` renews it")
