"""How long an epoch's arithmetic alone would take: the limit of any training step."""

import json
from typing import NamedTuple

from benchmarks.speed.clone import Clone


class Arithmetic(NamedTuple):
    gflop: float  # billions of operations an epoch, training and validation
    rate: float  # billions of operations a second, of matrix products at the training's precision
    rates: dict[str, float]  # by precision

    @property
    def seconds(self) -> float:
        return self.gflop / self.rate


def arithmetic(clone: Clone) -> Arithmetic:
    """What the clone's params.yaml asks for, and this machine's rate, measured in a process.

    So that the caller imports neither TensorFlow nor PyTorch.
    """
    lines = clone.run("python", "-m", "benchmarks.peers.matrix_rate").lines
    (printed,) = [line for _, line in lines if line.startswith("{")]  # libraries greet, too
    return Arithmetic(**json.loads(printed))
