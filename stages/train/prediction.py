"""What a network predicts on images that may be more than fit into memory."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError

BATCH_IMAGES = 1000  # images predicted at once
BATCH_PIXELS = BATCH_IMAGES * 28 * 28  # fewer at once of larger ones: each layer keeps its output


def images_per_batch(height: int, width: int) -> int:
    """How many images of that size a network predicts at once."""
    return max(1, min(BATCH_IMAGES, BATCH_PIXELS // (height * width)))


def predict(network: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Probabilities (count, classes), float32, of images (count, height, width[, 3]).

    Raises UserError if one of them is not finite.
    Keras' own predict holds all images in memory, also those of an array mapped from a file.
    """
    size = images_per_batch(*images.shape[1:3])
    parts = [
        network.predict_on_batch(np.asarray(images[start : start + size]))
        for start in range(0, len(images), size)
    ]
    probabilities = np.concatenate(parts)
    if not np.isfinite(probabilities).all():
        raise UserError(
            "expected probabilities, found values that are no finite numbers: the weights are "
            "too large. Lower train.learning_rate in params.yaml and train again."
        )
    return probabilities
