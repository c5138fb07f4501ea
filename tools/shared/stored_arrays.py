"""The arrays behind the hashes of a revision's dvc.lock.

A file is read from the workspace or, by its MD5, from DVC's cache.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.run.hashes import md5_of_file
from stages.shared.errors import UserError
from tools.shared.cache import cache_path
from tools.shared.git import git_output, list_experiments, read_content
from tools.shared.paths import LOCK
from tools.shared.revisions import Revision


class AbsentArraysError(UserError):
    """Arrays of a revision are not here; the message says how to get them."""


def read_arrays(revision: Revision, paths: Sequence[str]) -> list[npt.NDArray[Any]]:
    """The revision's arrays, each checked against its MD5 in dvc.lock and mapped into memory.

    Raises AbsentArraysError that says how to get those that are missing, and UserError that says
    how to mend those that are not what they should be.
    """
    if unknown := [path for path in paths if path not in revision.made]:
        raise AbsentArraysError(
            f"{revision.title}: expected {', '.join(unknown)} in {LOCK}, found none."
        )
    sources = {
        path: cache_path(revision.made[path]) if revision.commit else Path(path) for path in paths
    }
    missing = [path for path, source in sources.items() if not source.is_file()]
    if missing:
        raise AbsentArraysError(
            f"{revision.title}: {', '.join(missing)}: {describe_absence(revision, missing)}"
        )
    return [read_verified_array(revision, path, source) for path, source in sources.items()]


def describe_absence(revision: Revision, missing: list[str]) -> str:
    """That files are missing, and the command that brings them."""
    paths = " ".join(missing)
    if revision.commit is None:
        return f"missing. `dvc pull {paths}` brings it back, `dvc repro` makes it anew."
    refs = list(list_experiments("*", f"--points-at={revision.commit}"))
    if b"remote =" not in (read_content(revision.commit, ".dvc/config") or b""):
        # What pulls for many commits asks each one's own config, and not .dvc/config.local.
        pull = f"git checkout {revision.commit[:7]} && dvc pull {paths} && git checkout -"
    elif refs:
        remote = next(iter(git_output("remote").split()), "origin")
        pull = f"dvc exp pull {remote} {refs[0].rsplit('/', 1)[1]}"
    else:
        pull = f"dvc pull --all-commits {paths}"
    return (
        f"not in DVC's cache. `{pull}` fetches it if it was pushed; else "
        f"`git checkout {revision.commit[:7]}` and `dvc repro` make it anew."
    )


def read_verified_array(revision: Revision, path: str, source: Path) -> npt.NDArray[Any]:
    found = md5_of_file(source)
    if found != revision.made[path]:
        expected = f"expected MD5 {revision.made[path]} as in {LOCK}, found {found}"
        if revision.commit is None:
            raise UserError(f"workspace: {path}: {expected}. `dvc repro` mends it.")
        mend = describe_absence(revision, [path])
        raise UserError(f"{revision.title}: {path}: {expected}. Delete {source}; then it is {mend}")
    array: npt.NDArray[Any] = np.asarray(np.load(source, mmap_mode="r", allow_pickle=False))
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(
            f"{revision.title}: {path}: expected probabilities, found values that are no finite "
            "numbers: nothing can be compared with them. Train that model again."
        )
    return array
