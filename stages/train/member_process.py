"""How a process starts that trains members. It imports no TensorFlow, so that it comes first."""

import importlib
import os
import signal
import threading
from multiprocessing import parent_process


def start_member_process() -> None:
    """Tie this process to its parent, then import TensorFlow without its greeting.

    What TensorFlow says on importing is hidden, all of it: the parent has imported it as well, and
    so has shown what matters.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    threading.Thread(target=end_with_parent, daemon=True).start()
    stderr, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        importlib.import_module("stages.train.side_by_side")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nothing)


def end_with_parent() -> None:
    """Wait for the parent's end, even a kill, and end this process: it would train on."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
