"""What Keras, TensorFlow and the allocator are told before they are imported."""

import ctypes
import logging
import os

M_ARENA_MAX = -8  # of malloc.h


def set_environment() -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["KERAS_HOME"] = os.devnull  # nothing is read from the user's keras.json, or written
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without GPU is no error
    # Several networks in one process make it warn of tracing each anew, which must be.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    share_heaps()


def share_heaps() -> None:
    """Let all threads share two heaps of glibc's, which gives each its own: 35 MB less memory.

    Other C libraries have no such thing to set.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_ARENA_MAX, 2)
