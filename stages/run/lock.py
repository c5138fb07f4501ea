"""One process a stage: a second one is told which holds it, and writes nothing."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.shared.errors import UserError


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`. The kernel frees it when the process ends, however it ends.

    DVC's own lock ends with dvc: a stage that outlives a killed dvc still holds this one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            raise UserError(
                f"already running, as process {holder}. Wait for the dvc that started it; if "
                f"that was killed, `kill {holder}`, then `dvc repro`: a training resumes."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
