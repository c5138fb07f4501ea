"""Whether a network fits into memory: asked before anything of it is built."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Callable
from pathlib import Path

import keras

from stages.shared.errors import UserError

VALUE_BYTES = 4  # float32
# How often the weights are in memory at the peak, measured with TensorFlow 2.21: themselves, their
# gradients and Adam's two moments, most of it once more or twice while a checkpoint is written.
COPIES = 11
COPIES_OF_MEMBER = 5  # for each further member, up to the saving of all
GIGABYTE = 1e9  # bytes
MEMORY = Path("/proc/meminfo")  # Linux alone has these three
CONTAINER = Path("/sys/fs/cgroup/memory.max")
PAGES_HERE = Path("/proc/self/statm")


def refuse_too_large(make_network: Callable[[], keras.Model], name: str, members: int) -> None:
    """Raise UserError if training needs more memory than there is; `name` is the network's block.

    TensorFlow itself ends with a segmentation fault, or is killed.
    """
    with keras.StatelessScope(initialize_variables=False):  # shapes alone
        weights = sum(math.prod(variable.shape) for variable in make_network().variables)
    needed = weights * VALUE_BYTES * (COPIES + COPIES_OF_MEMBER * (members - 1))
    available = available_bytes()
    if needed > available:
        key = {"mlp": "model.mlp.units"}.get(name, f"model.{name}")
        raise UserError(
            f"{key}: training {members} x {weights:,} weights needs {needed / GIGABYTE:,.1f} GB of "
            f"memory, and {available / GIGABYTE:,.1f} GB are available. Make the network smaller"
        )


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
