"""python -m tools.remote: is each object that dvc.lock names on the default remote, and whole?

Reads and hashes them all: the traffic of a pull. `dvc push` sends nothing that the remote has by
name, damaged or not, and does not look into a folder whose list is there. --mend sends from this
clone's cache what is missing or damaged. Exit code 0 only if all is well then.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages import StageError
from tools import command_line
from tools.cache import cached
from tools.verify import md5_of, outputs


def main() -> None:
    parser = command_line.parser("tools.remote", __doc__)
    parser.add_argument("--mend", action="store_true", help="send what is missing or damaged")
    mend = parser.parse_args().mend
    # Imported only now: it takes longer than to print the help.
    from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # noqa: PLC0415
    from dvc.repo import Repo  # type: ignore[import-untyped]  # noqa: PLC0415

    left = 0
    try:
        store = Repo().cloud.get_remote_odb()
        kept = [(output.path, output.md5) for output in outputs() if output.in_cache]
        for path, md5, problem in problems(store, kept):
            mended = mend and send(store, md5)
            left += not mended
            print(f"{path}: {problem} on the remote ({md5}){': sent again' if mended else ''}")
    except (StageError, DvcException, OSError, *errors_of_s3()) as error:
        sys.exit(f"remote: {error}")
    if left:
        sys.exit(
            f"{left} not mended: `python -m tools.remote --mend` in a clone whose cache has them; "
            "`python -m tools.verify` says whether it has"
        )
    print("All is well: the remote has every object of dvc.lock.")


def errors_of_s3() -> tuple[type[Exception], ...]:
    """What S3's library raises, which reaches here as it is; none where it was not used."""
    library = sys.modules.get("botocore.exceptions")
    return (library.BotoCoreError,) if library else ()


def problems(store: Any, named: list[tuple[Path, str]]) -> Iterator[tuple[Path, str, str]]:
    """Path, MD5 and what is wrong of each object that is not as its name says; in folders, too.

    A folder's list comes after its files, so that where it stands they do.
    """
    for path, md5 in named:
        try:
            problem = "" if remote_md5(store, md5) == md5.removesuffix(".dir") else "damaged"
        except FileNotFoundError:
            problem = "missing"
        if md5.endswith(".dir") and (here(md5) or not problem):
            yield from problems(store, [(path / name, entry) for name, entry in files(store, md5)])
        if problem:
            yield path, md5, problem


def remote_md5(store: Any, md5: str) -> str:
    """The MD5 of the bytes that the remote has under that name."""
    found = hashlib.md5(usedforsecurity=False)
    with store.fs.open(store.oid_to_path(md5), "rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def files(store: Any, md5: str) -> list[tuple[str, str]]:
    """Name and MD5 of each file of a folder, by its list."""
    text = cached(md5).read_bytes() if here(md5) else store.fs.cat_file(store.oid_to_path(md5))
    return [(entry["relpath"], entry["md5"]) for entry in json.loads(text)]


def here(md5: str) -> bool:
    """Whether this clone's cache has the object, whole."""
    return cached(md5).is_file() and md5_of(cached(md5)) == md5.removesuffix(".dir")


def send(store: Any, md5: str) -> bool:
    """Put the cache's object in the place of the remote's; whether the cache has it."""
    from dvc_objects.fs.local import localfs  # noqa: PLC0415

    whole = here(md5)
    if whole:
        store.add(str(cached(md5)), localfs, md5, check_exists=False)
    return whole


if __name__ == "__main__":
    main()
