"""DVC as this Python has it, whatever the PATH says."""

import getpass
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.shared.errors import UserError

COMMAND = (sys.executable, "-m", "dvc")


def run_dvc(*arguments: str) -> str:
    """What a dvc command prints. Raises UserError with its complaint if it fails."""
    refuse_nameless_user()
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"dvc {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def open_repository() -> Any:
    """The project as DVC's own `Repo`, a context manager; slow to import."""
    from dvc.repo import Repo  # type: ignore[import-untyped]  # noqa: PLC0415

    refuse_nameless_user()
    return Repo()


def refuse_nameless_user() -> None:
    """Raise UserError where DVC would end with "getpwuid(): uid not found", as in a container."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        raise UserError(
            "expected a user with a name, found an id alone: set USER to any name, and HOME to a "
            "folder that you may write to"
        ) from None


def forget_index(repository: Any) -> None:
    """Remove DVC's list of what it has seen on remotes; the next push or pull makes it anew.

    A push or pull that ended while it made the list leaves a part of it. DVC takes the part for
    the whole ever after, and reports success although it never looked at the rest.
    """
    with repository.lock:  # no other dvc reads it now
        shutil.rmtree(Path(repository.site_cache_dir) / "index", ignore_errors=True)
