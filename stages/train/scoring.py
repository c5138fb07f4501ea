"""The trained network's probabilities and scores on the validation images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from stages.shared.arrays import write_array
from stages.shared.atomic_write import atomic_write
from stages.shared.baseline import baseline_accuracy, describe_no_better
from stages.shared.scores import Labels, Probabilities, accuracy, loss

if TYPE_CHECKING:
    from collections.abc import Mapping


def score(probabilities: Probabilities, labels: Labels) -> dict[str, float]:
    return {"accuracy": accuracy(probabilities, labels), "loss": loss(probabilities, labels)}


def write_scores(
    probabilities: Probabilities,
    labels: Labels,
    training_labels: Labels,
    also: Mapping[str, object],
    reports: Path,
) -> None:
    """Write probabilities_validation.npy and validation.json; of no images, no score.

    `also` is what validation.json says of the network beside its scores. Prints a sentence if the
    network is no better than the training images' largest class.
    """
    write_array(reports / "probabilities_validation.npy", probabilities)
    scores: dict[str, float] = {}
    if len(labels):
        scores = score(probabilities, labels)
        scores["baseline_accuracy"] = baseline_accuracy(labels, training_labels)
        for name, value in scores.items():
            print(f"validation {name}: {value}")
        if no_better := describe_no_better(probabilities, labels, training_labels, "validation"):
            print(no_better)
    with atomic_write(reports / "validation.json") as file:
        text = json.dumps(scores | dict(also), indent=2, allow_nan=False)
        file.write(f"{text}\n".encode())
