"""Images that come as arrays, at the size and in the colours that dataset.yaml says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.format import open_memmap, write_array_header_1_0

from stages.preprocess.rows import refuse_no_room
from stages.preprocess.source import Pixels, Rows, release_memory, split_rows
from stages.shared.errors import UserError

if TYPE_CHECKING:
    from stages.run.params import Images


def shape_of(images: Images) -> tuple[int, ...]:
    """(height, width) of an image as it is written, or (height, width, 3)."""
    return images.height, images.width, *([3] if images.colour == "rgb" else [])


def fit_arrays(arrays: Sequence[Pixels], images: Images, temporary: Path) -> Rows:
    """Arrays (count, h, w) or (count, h, w, channels); those of other size are brought to it.

    Raises UserError for other shapes.
    """
    return Rows(
        [fit_array(array, images, temporary / f"{n}.npy") for n, array in enumerate(arrays)]
    )


def fit_array(array: Pixels, images: Images, path: Path) -> Pixels:
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] != 3) or 0 in array.shape:
        raise UserError(
            "expected images (count, height, width) or (count, height, width, 3); found "
            f"{array.shape}: correct `files` in dataset.yaml"
        )
    expected = shape_of(images)
    if array.shape[1:] == expected:
        return array
    # Imported here: Pillow takes a tenth of a second, which arrays of the right size need not.
    from stages.shared.image_reading import fit_pixels  # noqa: PLC0415

    found, stated = (" x ".join(map(str, shape)) for shape in (array.shape[1:], expected))
    print(f"images of {found} become {stated}: {images.fit}")
    shape = (len(array), *expected)
    refuse_no_room(path.parent, int(np.prod(shape)), "Make room")
    with path.open("wb") as file:
        write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for rows in split_rows(np.arange(len(array)), array.shape[1:]):
            for pixels in array[rows]:
                file.write(np.ascontiguousarray(fit_pixels(pixels, images)).data)
            release_memory(array)
    return open_memmap(path, mode="r")
