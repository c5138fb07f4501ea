"""The training input: batches of images and one-hot labels, in an order of its own each epoch."""

import math

import keras
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Batches(keras.utils.PyDataset):
    """Images and one-hot labels, a batch at a time; with a seed, in a new order each epoch.

    The order is a function of (seed, epoch) alone, so that any epoch can be repeated. The
    arrays may be mapped from files larger than memory: only a batch's rows are read.
    """

    def __init__(
        self, images: Bytes, labels: Bytes, classes: int, batch_size: int, seed: int | None = None
    ) -> None:
        super().__init__()
        self.images, self.labels = images, labels
        self.classes, self.batch_size, self.seed = classes, batch_size, seed
        self.epoch = 0  # of the next order
        self.order = np.arange(len(images))

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def __getitem__(self, number: int) -> tuple[Bytes, npt.NDArray[np.float32]]:
        start = number * self.batch_size
        rows = self.order[start : start + self.batch_size]
        one_hot = np.zeros((len(rows), self.classes), np.float32)
        one_hot[np.arange(len(rows)), self.labels[rows]] = 1
        return np.asarray(self.images[rows]), one_hot

    def on_epoch_begin(self) -> None:
        if self.seed is not None:
            draws = np.random.Philox(key=[self.seed, self.epoch]).random_raw(len(self.images))
            self.order = np.argsort(draws, kind="stable")
        self.epoch += 1
