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

from stages.run.hashes import md5_of_file
from stages.shared.errors import UserError
from tools.shared.cache import cache_path
from tools.shared.command_line import make_parser
from tools.shared.outputs import read_outputs


def main() -> None:
    parser = make_parser("tools.remote", __doc__)
    parser.add_argument("--mend", action="store_true", help="send what is missing or damaged")
    mend = parser.parse_args().mend
    # Imported only now: it takes longer than to print the help.
    from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # noqa: PLC0415
    from dvc.repo import Repo  # type: ignore[import-untyped]  # noqa: PLC0415

    left = 0
    try:
        store = Repo().cloud.get_remote_odb()
        kept = [(output.path, output.md5) for output in read_outputs() if output.in_cache]
        for path, md5, problem in find_problems(store, kept):
            mended = mend and send_object(store, md5)
            left += not mended
            print(f"{path}: {problem} on the remote ({md5}){': sent again' if mended else ''}")
    except (UserError, DvcException, OSError, *list_s3_errors()) as error:
        sys.exit(f"remote: {error}")
    if left:
        sys.exit(
            f"{left} not mended: `python -m tools.remote --mend` in a clone whose cache has them; "
            "`python -m tools.verify` says whether it has"
        )
    print("All is well: the remote has every object of dvc.lock.")


def list_s3_errors() -> tuple[type[Exception], ...]:
    """What S3's library raises, which reaches here as it is; none where it was not used."""
    library = sys.modules.get("botocore.exceptions")
    return (library.BotoCoreError,) if library else ()


def find_problems(store: Any, named: list[tuple[Path, str]]) -> Iterator[tuple[Path, str, str]]:
    """Path, MD5 and what is wrong of each object that is not as its name says; in folders, too.

    A folder's list comes after its files, so that where it stands they do.
    """
    for path, md5 in named:
        try:
            problem = "" if hash_remote(store, md5) == md5.removesuffix(".dir") else "damaged"
        except FileNotFoundError:
            problem = "missing"
        if md5.endswith(".dir") and (is_here(md5) or not problem):
            yield from find_problems(
                store, [(path / name, entry) for name, entry in list_folder(store, md5)]
            )
        if problem:
            yield path, md5, problem


def hash_remote(store: Any, md5: str) -> str:
    """The MD5 of the bytes that the remote has under that name."""
    found = hashlib.md5(usedforsecurity=False)
    with store.fs.open(store.oid_to_path(md5), "rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def list_folder(store: Any, md5: str) -> list[tuple[str, str]]:
    """Name and MD5 of each file of a folder, by its list."""
    text = (
        cache_path(md5).read_bytes() if is_here(md5) else store.fs.cat_file(store.oid_to_path(md5))
    )
    return [(entry["relpath"], entry["md5"]) for entry in json.loads(text)]


def is_here(md5: str) -> bool:
    """Whether this clone's cache has the object, whole."""
    return cache_path(md5).is_file() and md5_of_file(cache_path(md5)) == md5.removesuffix(".dir")


def send_object(store: Any, md5: str) -> bool:
    """Put the cache's object in the place of the remote's; whether the cache has it."""
    from dvc_objects.fs.local import localfs  # noqa: PLC0415

    whole = is_here(md5)
    if whole:
        store.add(str(cache_path(md5)), localfs, md5, check_exists=False)
    return whole


if __name__ == "__main__":
    main()
