"""What users see of an error that they can mend: one message, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stages.shared.errors import UserError


@contextmanager
def failures_in_one_line(command: str, retry: str = "repeat the command") -> Iterator[None]:
    """End the process with `COMMAND: what is wrong` for errors that the user can mend.

    These are UserError, what the system refuses (OSError, MemoryError), and a package that is not
    installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in (
            "stages",
            "tools",
            "sweeps",
            "serving",
        ):
            raise
        sys.exit(
            f"{command}: the Python at {sys.executable} lacks the package '{error.name}'. "
            "Expected the project's own: run `make` once, then `source .venv/bin/activate`."
        )
    except UserError as error:
        sys.exit(f"{command}: {error}")
    except MemoryError:
        sys.exit(
            f"{command}: there is not enough memory. Close other programs or lift this shell's "
            f"limit (`ulimit -v`), then {retry}."
        )
    except OSError as error:
        sys.exit(f"{command}: {error}. Make room or access there, then {retry}.")
