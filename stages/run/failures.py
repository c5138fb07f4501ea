"""What users see of an error that they can mend: one message, no traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stages.shared.errors import UserError

OURS = ("stages", "tools", "sweeps", "serving")


@contextmanager
def failures_in_one_line(
    command: str, retry: str = "repeat the command", code: int = 1
) -> Iterator[None]:
    """End the process with `COMMAND: what is wrong` and that exit code for what the user can mend.

    These are UserError, what the system refuses (OSError, MemoryError), and a package that is not
    installed.
    """
    try:
        yield
        return
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in OURS:
            raise
        problem = (
            f"the Python at {sys.executable} lacks the package '{error.name}'. "
            "Expected the project's own: run `make` once, then `source .venv/bin/activate`."
        )
    except UserError as error:
        problem = str(error)
    except MemoryError:
        problem = (
            "there is not enough memory. Close other programs or lift this shell's "
            f"limit (`ulimit -v`), then {retry}."
        )
    except OSError as error:
        problem = f"{error}. Make room or access there, then {retry}."
    print(f"{command}: {problem}", file=sys.stderr)
    sys.exit(code)
