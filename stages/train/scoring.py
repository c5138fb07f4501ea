"""The trained network's probabilities and scores on the validation images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.shared.arrays import write_array
from stages.shared.atomic_write import atomic_write
from stages.shared.scores import Probabilities, accuracy, loss
from stages.train.prediction import predict

if TYPE_CHECKING:
    import keras

    from stages.train.batches import Part


def write_scores(network: keras.Model, held_out: Part | None, reports: Path) -> Probabilities:
    """Write probabilities_validation.npy and validation.json; with nothing held out, no score.

    Returns the probabilities (count, classes), of no images if nothing is held out.
    """
    scores: dict[str, float] = {}
    probabilities = np.zeros((0, network.output.shape[1]), np.float32)
    if held_out:
        probabilities, scores = score_network(network, held_out)
    write_array(reports / "probabilities_validation.npy", probabilities)
    scores["parameters"] = network.count_params()
    with atomic_write(reports / "validation.json") as file:
        file.write((json.dumps(scores, indent=2, allow_nan=False) + "\n").encode())
    return probabilities


def score_network(network: keras.Model, part: Part) -> tuple[Probabilities, dict[str, float]]:
    """The network's probabilities (count, classes) for the images, and its scores on them."""
    images, labels = part
    probabilities = predict(network, images)
    scores = {"accuracy": accuracy(probabilities, labels), "loss": loss(probabilities, labels)}
    return probabilities, scores
