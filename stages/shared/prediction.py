"""What a network predicts on images that may be more than fit into memory."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from stages.shared.errors import UserError

BATCH_IMAGES = 1000  # images predicted at once


def predict(network: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Probabilities (count, classes), float32, of images (count, height, width).

    Raises UserError if one of them is not finite.
    Keras' own predict holds all images in memory, also those of an array mapped from a file.
    """
    parts = [
        network.predict_on_batch(np.asarray(images[start : start + BATCH_IMAGES]))
        for start in range(0, len(images), BATCH_IMAGES)
    ]
    probabilities = np.concatenate(parts)
    if not np.isfinite(probabilities).all():
        raise UserError(
            "expected probabilities, found values that are no finite numbers: the weights are "
            "too large. Lower train.learning_rate in params.yaml and train again."
        )
    return probabilities
