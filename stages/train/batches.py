"""The training input: batches of images and one-hot labels, reshuffled each epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from stages.train.augmentation import draw_transformations, transform_images

if TYPE_CHECKING:
    from stages.run.params import Augmentation

Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.integer[Any]]
Float32s = npt.NDArray[np.float32]
# Images (count, height, width[, 3]) as uint8, or their features (count, features), and labels.
Part = tuple[npt.NDArray[Any], Labels]

# What one call reads, about: a call for each batch costs a tenth of an epoch.
CALL_IMAGES = 1024
CALL_BYTES = 2**25  # of images, if those are fewer
PARALLEL_CALLS = 2  # calls under way at once
PREFETCHED_BATCHES = 4  # batches that wait for the network


class Batches:
    """Images and one-hot labels, a batch at a time; with a seed, in a new order each epoch.

    With `class_weights` (classes,), each image's weight in the loss comes third. `background` is
    what augmentation moves in from beyond the edges: grey, or red, green and blue.

    Order and augmentation are functions of (seed, epoch) alone, so that any epoch can be
    repeated. `parts` follow each other as if they were one; their arrays may be mapped from files
    larger than memory: only a batch's rows are read.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        classes: int,
        batch_size: int,
        seed: int | None = None,
        augmentation: Augmentation | None = None,
        background: int | Sequence[int] = 0,
        class_weights: Float32s | None = None,
    ) -> None:
        self.parts = parts
        self.classes, self.batch_size, self.seed = classes, batch_size, seed
        self.augmentation = (
            augmentation if augmentation and any(vars(augmentation).values()) else None
        )
        self.starts = np.cumsum([0, *(len(labels) for _, labels in parts)])
        self.shape = parts[0][0].shape[1:]  # of an image
        call_images = min(CALL_IMAGES, CALL_BYTES // math.prod(self.shape))
        self.batches_per_call = max(1, call_images // batch_size)  # batches
        # One value for each channel.
        self.background = tuple(np.broadcast_to(background, self.shape[2:] or 1).tolist())
        self.class_weights = class_weights
        self.start_epoch(0)

    def __len__(self) -> int:
        return math.ceil(int(self.starts[-1]) / self.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Make this the epoch of which the data set gives the batches; the first one is 0."""
        self.epoch = epoch
        self.order = np.arange(self.starts[-1])
        if self.seed is not None:
            draws = np.random.Philox(key=[self.seed, epoch]).random_raw(len(self.order))
            self.order = np.argsort(draws, kind="stable")

    def dataset(self) -> tf.data.Dataset:
        """The batches of one epoch as TensorFlow reads them; labels are float32."""
        numbers = tf.data.Dataset.range(0, len(self), self.batches_per_call)
        load = tf.autograph.experimental.do_not_convert(self.load_call)  # which leaves a file
        several = numbers.map(load, PARALLEL_CALLS, deterministic=True)
        batches = several.rebatch(self.batch_size).prefetch(PREFETCHED_BATCHES)
        batches = batches.apply(tf.data.experimental.assert_cardinality(len(self)))
        # TensorFlow's tuner has nothing to choose here, and the end of an epoch would wait for the
        # tuner's next turn. These double: up to as long again as the epoch took.
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches.with_options(options)

    def load_call(self, first: tf.Tensor) -> tuple[tf.Tensor, ...]:
        shapes = [(None, *self.shape), (None, self.classes), (None,)]
        of_images = tf.as_dtype(self.parts[0][0].dtype)
        types = [of_images, tf.float32, tf.float32][: 2 if self.class_weights is None else 3]
        read = tf.numpy_function(self.read_batches, [first], types)
        return tuple(map(tf.ensure_shape, read, shapes))

    def read_batches(self, first: int) -> list[npt.NDArray[Any]]:
        """The batch of that number and those that are made with it, one after the other."""
        numbers = range(first, min(first + self.batches_per_call, len(self)))
        return [np.concatenate(kind) for kind in zip(*map(self.read_batch, numbers), strict=True)]

    def read_batch(self, number: int) -> tuple[npt.NDArray[Any], ...]:
        """A batch of the epoch: images, augmented; one-hot labels; with class weights, these."""
        rows = self.order[number * self.batch_size :][: self.batch_size]
        images, labels = (self.rows_of(kind, rows) for kind in (0, 1))
        if self.augmentation and self.seed is not None:
            key = [self.seed, (self.epoch + 1) << 32 | int(number)]  # never the key of an order
            random = np.random.Generator(np.random.Philox(key=key))
            chance = draw_transformations(random, len(rows), self.shape[:2], self.augmentation)
            images = transform_images(images, *chance, self.background).numpy()
        one_hot = np.zeros((len(rows), self.classes), np.float32)
        one_hot[np.arange(len(rows)), labels] = 1
        if self.class_weights is None:
            return images, one_hot
        return images, one_hot, self.class_weights[labels]

    def rows_of(self, kind: int, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """These rows of the parts' images (kind 0) or labels (1)."""
        first = self.parts[0][kind]
        if len(self.parts) == 1:
            return np.asarray(first[rows])
        part_of = np.searchsorted(self.starts, rows, side="right") - 1
        types = [part[kind].dtype for part in self.parts]
        result = np.empty((len(rows), *first.shape[1:]), np.result_type(*types))
        for number, part in enumerate(self.parts):
            mine = part_of == number
            result[mine] = part[kind][rows[mine] - self.starts[number]]
        return result
