"""What Ctrl-C does to the commands for people."""

import sys
from types import TracebackType

INTERRUPTED = 130  # 128 and the signal's number, as shells have it


def end_quietly_at_ctrl_c() -> None:
    """Let a KeyboardInterrupt that nobody handles end Python with one line and no traceback.

    All that is to be cleaned up on the way out still is. The packages of commands call it, so that
    it holds while their modules are imported, too.
    """
    sys.excepthook = say_interrupted


def say_interrupted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    if sys.stderr.isatty():
        print(file=sys.stderr)  # the line of ^C or of a progress bar ends
    print("interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)
