"""Whether a network fits into memory: asked before anything of it is built."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable
from pathlib import Path

import keras

from stages.shared.errors import UserError
from stages.train.prediction import all_layers

VALUE_BYTES = 4  # float32
# How often the weights are in memory at the peak, measured with TensorFlow 2.21: themselves, their
# gradients and Adam's two moments, most of it once more or twice while a checkpoint is written.
COPIES = 11
COPIES_OF_MEMBER = 5  # for each further member, up to the saving of all
# The layers' outputs are in memory once, for a batch: measured 2.3 and 0.7 GB with the default cnn
# and 128 images in colour of 128 x 128 and 64 x 64 pixels, of which these are 2.8 and 0.6 GB.
GIGABYTE = 1e9  # bytes
MEMORY = Path("/proc/meminfo")  # Linux alone has these three
CONTAINER = Path("/sys/fs/cgroup/memory.max")
PAGES_HERE = Path("/proc/self/statm")


def refuse_too_large(
    make_network: Callable[[], keras.Model], name: str, members: int, batch_size: int
) -> None:
    """Raise UserError if training needs more memory than there is; `name` is the network's block.

    TensorFlow itself ends with a segmentation fault, or is killed.
    """
    weights, outputs, image_values = count_values(make_network)
    copies = COPIES + COPIES_OF_MEMBER * (members - 1)
    of_outputs = outputs * VALUE_BYTES * batch_size
    needed = weights * VALUE_BYTES * copies + of_outputs
    available = available_bytes()
    if of_outputs > available / 2 and needed > available:
        fits = max(1, int(batch_size * available / 2 // of_outputs))
        raise UserError(
            f"train.batch_size: training on {batch_size} images at once needs "
            f"{needed / GIGABYTE:,.1f} GB of memory, as each gives {outputs:,} values between "
            f"layers, and {available / GIGABYTE:,.1f} GB are available. Lower it to {fits}, or "
            "make the images smaller (dataset.yaml, images)"
        )
    if needed > available:
        units = int(available // (image_values * VALUE_BYTES * copies))
        hint = f": its first layer, which sees {image_values:,} values, to less than {units} units"
        key = {"mlp": "model.mlp.units"}.get(name, f"model.{name}")
        raise UserError(
            f"{key}: training {members} x {weights:,} weights needs {needed / GIGABYTE:,.1f} GB of "
            f"memory, and {available / GIGABYTE:,.1f} GB are available. Make the network "
            f"smaller{hint if name == 'mlp' else ''}"
        )


def training_bytes(make_network: Callable[[], keras.Model], batch_size: int) -> int:
    """The memory that the training of one network takes beyond TensorFlow itself, at most."""
    weights, outputs, _ = count_values(make_network)
    return VALUE_BYTES * (weights * COPIES + outputs * batch_size)


def count_values(make_network: Callable[[], keras.Model]) -> tuple[int, int, int]:
    """The numbers of a network's weights, of its layers' outputs and of an image's values."""
    with keras.StatelessScope(initialize_variables=False):  # shapes alone
        network = make_network()
        weights = sum(math.prod(variable.shape) for variable in network.variables)
        outputs = sum(math.prod(layer.output.shape[1:]) for layer in all_layers(network))
        return weights, outputs, math.prod(network.input.shape[1:])


def available_bytes() -> float:
    """The memory that this process can still take, by each limit that the system tells."""
    page = os.sysconf("SC_PAGE_SIZE")
    limits: list[float] = [page * os.sysconf("SC_PHYS_PAGES")]
    if MEMORY.exists():
        lines = dict(line.split(":") for line in MEMORY.read_text().splitlines())
        limits.append(1024 * int(lines["MemAvailable"].split()[0]))
    if CONTAINER.exists() and (text := CONTAINER.read_text().strip()) != "max":
        limits.append(int(text))
    most, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        taken = page * int(PAGES_HERE.read_text().split()[0]) if PAGES_HERE.exists() else 0
        limits.append(most - taken)
    return min(limits)
