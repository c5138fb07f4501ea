"""How many threads TensorFlow computes with. The count decides how sums round, not the cores."""

import os

import tensorflow as tf


def use_threads(count: int) -> None:
    """Compute with this many threads, on any machine. Call it before TensorFlow's first operation.

    Convolutions split their sums by the number of threads: 1, 2 and 4 give three networks, and
    one count gives the same network on one core and on two (tried with TensorFlow 2.21).
    Raises RuntimeError if TensorFlow has already started with another count.
    """
    tf.config.threading.set_intra_op_parallelism_threads(count)


def available_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
