"""What a network predicts on images that may be more than fit into memory."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError
from stages.train.onnx_session import open_session, run_batches

BATCH_IMAGES = 1000  # predicted at once
# Fewer at once by a network of larger layers. The default cnn's on MNIST have so many values.
BATCH_VALUES = BATCH_IMAGES * 26 * 26 * 32


def images_per_batch(network: keras.Model) -> int:
    """How many images a network predicts at once, by its largest layer."""
    largest = max(math.prod(layer.output.shape[1:]) for layer in all_layers(network))
    return max(1, min(BATCH_IMAGES, BATCH_VALUES // int(largest)))


def all_layers(network: keras.Model) -> Iterator[keras.Layer]:
    """The layers of a network and of the networks that are layers of it."""
    for layer in network.layers:
        yield from all_layers(layer) if isinstance(layer, keras.Model) else [layer]


def predict(network: keras.Model, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Probabilities (count, classes), float32, of images (count, height, width[, 3]).

    Raises UserError if one of them is not finite.
    Keras' own predict holds all images in memory, also those of an array mapped from a file.
    """
    size = images_per_batch(network)
    parts = [
        network.predict_on_batch(np.asarray(images[start : start + size]))
        for start in range(0, len(images), size)
    ]
    probabilities = np.concatenate(parts)
    refuse_not_finite(probabilities)
    return probabilities


def predict_onnx(content: bytes, network: keras.Model, images: Any, threads: int) -> Any:
    """The same by the network's ONNX file, which is what is scored and shipped."""
    if not len(images):
        return np.zeros((0, network.output.shape[1]), np.float32)
    session = open_session(content, threads)
    probabilities = run_batches(session, images, images_per_batch(network))
    refuse_not_finite(probabilities)
    return probabilities


def refuse_not_finite(probabilities: npt.NDArray[Any]) -> None:
    if not np.isfinite(probabilities).all():
        raise UserError(
            "expected probabilities, found values that are no finite numbers: the weights are "
            "too large. Lower train.learning_rate in params.yaml and train again."
        )
