"""Near-duplicates across splits: for each held-out image the most alike one that is trained on.

Alike means the correlation of two images' pixels: 1 for equal ones; brightness and contrast do not
count. The most alike one is searched on images scaled down to SIDE pixels, and how alike the two
are is then measured in full size. The search compares all pairs, by a matrix product of which only
each image's best match stays: 2 x queries x references x features operations, 512 of them for each
pair of grey images, and memory for the features, 1 kB an image.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]

SIDE = {1: 16, 3: 10}  # pixels that an image is scaled down to, at most, by its channels
QUERIES, REFERENCES = 1024, 8192  # images that one product compares: 32 MB
BLOCK_IMAGES = 1024  # images described at once
SHORTEST = 1e-3  # length of pixels about their mean that is more than rounding


class Nearest(NamedTuple):
    """For each query (queries,): the reference that is most alike, and by how much."""

    reference: Indices
    similarity: Float32s


def find_nearest_images(queries: Any, references: Any) -> Nearest:
    """Both are images (count, height, width[, 3]) as uint8, read a block at a time."""
    reference, _ = find_nearest(describe_small(queries), describe_small(references))
    similarity = [
        (describe_block(queries[rows]) * describe_block(references[reference[rows]])).sum(axis=1)
        for rows in split_rows(len(queries))
    ]
    return Nearest(reference, np.concatenate(similarity))


def split_rows(count: int) -> list[slice]:
    """Blocks of so many images."""
    return [slice(start, start + BLOCK_IMAGES) for start in range(0, count, BLOCK_IMAGES)]


def describe_small(images: Any) -> Float32s:
    """What `describe_block` gives of all images, scaled down."""
    blocks = (images[rows] for rows in split_rows(len(images)))
    return np.concatenate([describe_block(scale_down_images(block)) for block in blocks])


def describe_block(images: npt.NDArray[Any]) -> Float32s:
    """Unit vectors (count, pixels), whose products are correlations; 0 of a constant image."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: Float32s = (flat / np.where(lengths > SHORTEST, lengths, np.inf)).astype(np.float32)
    return unit


def scale_down_images(images: npt.NDArray[Any]) -> Float32s:
    side = SIDE[3 if images.ndim == 4 else 1]
    return scale_down(scale_down(images, 1, side), 2, side)


def scale_down(images: npt.NDArray[Any], axis: int, side: int) -> Float32s:
    """Means of `side` equal strips of that axis; the images if it has no more pixels."""
    size = images.shape[axis]
    if size <= side:
        return images.astype(np.float32)
    bounds = np.arange(side + 1) * size // side
    sums = np.add.reduceat(images, bounds[:-1], axis=axis, dtype=np.float32)
    shape = [1] * images.ndim
    shape[axis] = side
    means: Float32s = sums / np.diff(bounds).reshape(shape).astype(np.float32)
    return means


def find_nearest(queries: Float32s, references: Float32s) -> Nearest:
    """The reference with the largest product for each query, the first of equal ones."""
    best = np.zeros(len(queries), np.intp)
    similarity = np.full(len(queries), -np.inf, np.float32)
    for start in range(0, len(queries), QUERIES):
        rows = slice(start, start + QUERIES)
        for first in range(0, len(references), REFERENCES):
            products = queries[rows] @ references[first : first + REFERENCES].T
            nearest = products.argmax(axis=1)
            found = products[np.arange(len(products)), nearest]
            better = found > similarity[rows]
            similarity[rows][better] = found[better]
            best[rows][better] = first + nearest[better]
    return Nearest(best, similarity)
