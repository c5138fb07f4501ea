"""Augmentation: each image turned, moved, scaled, sheared and bent a little, by one resampling.

Chance and effect are apart: `draw_transformations` is NumPy and takes the random generator,
`transform_images` is TensorFlow and does the same each time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import tensorflow as tf

if TYPE_CHECKING:
    from stages.run.params import Augmentation

Float32s = npt.NDArray[np.float32]

SMOOTHNESS = 4.0  # pixels: standard deviation of the Gaussian that smooths the elastic noise


def draw_transformations(
    random: np.random.Generator, count: int, shape: tuple[int, ...], augmentation: Augmentation
) -> tuple[Float32s, Float32s]:
    """For `count` images of `shape` (height, width): the chance in their transformations.

    Returns matrices (count, 2, 3), which take a place (y, x, 1) in the new image, in pixels from
    its middle, to one in the old; and the elastic noise (count, 2, nodes, nodes) for y and x.
    """

    def either_way(limit: float) -> Float32s:
        return random.uniform(-limit, limit, count).astype(np.float32)

    angle = np.radians(either_way(augmentation.rotation))
    zoom = 1 + either_way(augmentation.zoom)
    shear = either_way(augmentation.shear)
    mirror = np.where(random.random(count) < 0.5 * augmentation.flip, -1, 1)
    sine, cosine = np.sin(angle) / zoom, np.cos(angle) / zoom
    matrices = np.stack(
        [
            np.stack([cosine, shear * cosine - sine * mirror], axis=1),
            np.stack([sine, shear * sine + cosine * mirror], axis=1),
        ],
        axis=1,
    )
    shift = np.stack([either_way(augmentation.translation) for _ in range(2)], axis=1)
    height, width = map(count_nodes, shape)
    bent = augmentation.elastic > 0
    noise = random.standard_normal((count if bent else 0, 2, height, width), np.float32)
    return (
        np.concatenate([matrices, shift[:, :, None]], axis=2).astype(np.float32),
        (noise * augmentation.elastic).astype(np.float32),
    )


def count_nodes(size: int) -> int:
    """How many nodes of noise `size` pixels have: one each SMOOTHNESS, and some beyond the ends."""
    return math.ceil(size / SMOOTHNESS) + 4


def smoothing_weights(size: int) -> Float32s:
    """The weights (size, nodes) of a Gaussian, scaled so that smoothed noise keeps its variance."""
    count = count_nodes(size)
    places = (np.arange(count) - (count - 1) / 2) * SMOOTHNESS + (size - 1) / 2
    weights = np.exp(-((np.arange(size)[:, None] - places) ** 2) / (2 * SMOOTHNESS**2))
    scaled: Float32s = (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
    return scaled


# Compiled, thirty loops over the pixels become one. AutoGraph would leave a file behind.
@tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
def transform_images(
    images: tf.Tensor, matrices: tf.Tensor, noise: tf.Tensor, background: tuple[int, ...] = (0,)
) -> tf.Tensor:
    """Images (count, height, width[, 3]) as uint8, transformed: bilinear.

    `background` is what lies beyond the edges: a value for each channel.
    """
    height, width = images.shape[1:3]
    places = find_places(height, width, matrices)
    if noise.shape[0]:
        places += tf.reshape(smooth_noise(height, width, noise), places.shape)
    if images.shape.rank == 3:
        return tf.reshape(interpolate(images, places, *background), images.shape)
    channels = [
        interpolate(images[..., channel], places, beyond)
        for channel, beyond in enumerate(background)
    ]
    return tf.reshape(tf.stack(channels, axis=-1), images.shape)


def find_places(height: int, width: int, matrices: tf.Tensor) -> tf.Tensor:
    """The place (y, x) in the old image of each pixel of the new one, (count, 2, pixels)."""
    y, x = np.indices((height, width), np.float32).reshape(2, -1)
    middle = np.array([(height - 1) / 2, (width - 1) / 2], np.float32)[:, None]
    from_middle = np.stack([y - middle[0], x - middle[1], np.ones_like(x)])
    return tf.matmul(matrices, tf.constant(from_middle)) + middle


def smooth_noise(height: int, width: int, noise: tf.Tensor) -> tf.Tensor:
    """The displacement (count, 2, height, width) of each pixel: the noise, smoothed by a Gaussian.

    Simard, Steinkraus, Platt, Best practices for convolutional neural networks, ICDAR 2003.
    """
    columns = tf.matmul(smoothing_weights(height), noise)
    return tf.matmul(columns, smoothing_weights(width), transpose_b=True)


def interpolate(images: tf.Tensor, places: tf.Tensor, beyond: int) -> tf.Tensor:
    """The value of each grey image at the places, as uint8 (count, pixels): bilinear."""
    count, height, width = images.shape
    # A frame of that value stands for everything beyond the edges.
    frame = tf.constant(beyond, tf.uint8)
    framed = tf.reshape(tf.pad(images, [[0, 0], [1, 2], [1, 2]], constant_values=frame), [-1])
    row = width + 3
    y = tf.clip_by_value(places[:, 0], -1, height) + 1
    x = tf.clip_by_value(places[:, 1], -1, width) + 1
    top, left = tf.floor(y), tf.floor(x)
    of_image = tf.range(count)[:, None] * ((height + 3) * row)
    corner = tf.cast(top * row + left, tf.int32) + of_image

    def pixel(offset: int) -> tf.Tensor:
        return tf.cast(tf.gather(framed, corner + offset), tf.float32)

    down, right = y - top, x - left
    above = pixel(0) + (pixel(1) - pixel(0)) * right
    below = pixel(row) + (pixel(row + 1) - pixel(row)) * right
    return tf.cast(above + (below - above) * down + 0.5, tf.uint8)
