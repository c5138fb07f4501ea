"""The trained network's probabilities and scores on the validation images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from stages.shared.arrays import write_array
from stages.shared.atomic_write import atomic_write
from stages.shared.scores import Labels, Probabilities, accuracy, loss

if TYPE_CHECKING:
    from collections.abc import Mapping


def score(probabilities: Probabilities, labels: Labels) -> dict[str, float]:
    return {"accuracy": accuracy(probabilities, labels), "loss": loss(probabilities, labels)}


def write_scores(
    probabilities: Probabilities, labels: Labels, also: Mapping[str, object], reports: Path
) -> None:
    """Write probabilities_validation.npy and validation.json; of no images, no score.

    `also` is what validation.json says of the network beside its scores.
    """
    write_array(reports / "probabilities_validation.npy", probabilities)
    scores = score(probabilities, labels) if len(labels) else {}
    with atomic_write(reports / "validation.json") as file:
        text = json.dumps(scores | dict(also), indent=2, allow_nan=False)
        file.write(f"{text}\n".encode())
