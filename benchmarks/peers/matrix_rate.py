"""The machine's rate of matrix products, and the products that an epoch consists of.

python -m benchmarks.peers.matrix_rate: reads params.yaml and data/processed, prints JSON for
arithmetic.py.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without GPU is no error

import numpy as np
import tensorflow as tf
import torch
from ruamel.yaml import YAML

from benchmarks.peers.pytorch_networks import build, image_gflop

SIZE = 2048  # of square matrices: large enough that starting a product costs nothing
SECONDS = 2.0  # of trying; the best counts, since what else runs can only slow it


def main() -> None:
    params = YAML(typ="safe").load(Path("params.yaml"))
    precision = params["train"].get("precision", "float32").removeprefix("mixed_")
    rates = {kind: matrix_rate(kind) for kind in ("float32", "bfloat16")}
    name = params["model"]["name"]
    gflop = epoch_gflop(name, params["model"][name])
    print(json.dumps({"gflop": gflop, "rate": rates[precision], "rates": rates}))


def matrix_rate(kind: str) -> float:
    """GFLOP/s of a product of square matrices, the better of both libraries' kernels."""
    one, other = np.random.default_rng(0).standard_normal((2, SIZE, SIZE), np.float32)
    in_torch = [torch.from_numpy(matrix).to(getattr(torch, kind)) for matrix in (one, other)]
    in_tensorflow = [tf.cast(matrix, kind) for matrix in (one, other)]
    product = torch.empty_like(in_torch[0])
    return max(
        best_rate(lambda: torch.mm(*in_torch, out=product), 2 * SIZE**3),
        best_rate(lambda: tf.matmul(*in_tensorflow).numpy(), 2 * SIZE**3),
    )


def best_rate(work: Callable[[], object], operations: int) -> float:
    """Billions of operations a second in the fastest of the calls."""
    best = float("inf")
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return operations / best / 1e9


def epoch_gflop(name: str, block: dict[str, object]) -> float:
    """Products of an epoch: training forward and backward, validation forward."""
    images, validation = (
        np.load(f"data/processed/x_{split}.npy", mmap_mode="r") for split in ("train", "validation")
    )
    classes = 1 + int(np.load("data/processed/y_train.npy").max())
    network = build(name, images.shape[1:], classes, block)
    forward, both = image_gflop(network, images.shape[1:])
    return len(images) * both + len(validation) * forward


if __name__ == "__main__":
    main()
