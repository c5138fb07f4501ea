"""python -m tools.remote: is each object that dvc.lock names on the default remote, and whole?

Reads and hashes them all: the traffic of a pull. `dvc push` sends nothing that the remote has by
name, damaged or not, and does not look into a folder whose list is there. --mend sends from this
clone's cache what is missing or damaged. Exit code 0 only if all is well then.

--push is `dvc push --run-cache` that also works after a push that was killed or interrupted, and
then asks the remote for each object by name. --pull is the same of `dvc pull --run-cache`.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.run.hashes import md5_of_file
from stages.shared.errors import UserError
from tools.shared.cache import cache_path
from tools.shared.command_line import make_parser
from tools.shared.dvc import COMMAND, forget_index, open_repository
from tools.shared.outputs import read_outputs


def main() -> None:
    asked = parse_arguments(sys.argv[1:])
    # Imported only now: it takes longer than to print the help.
    from dvc.exceptions import DvcException  # type: ignore[import-untyped]  # noqa: PLC0415

    left = 0
    try:
        with open_repository() as repository:
            forget_index(repository)
            if asked.push or asked.pull:
                transfer("push" if asked.push else "pull")
            if asked.pull:
                return
            store = repository.cloud.get_remote_odb()
            kept = [(output.path, output.md5) for output in read_outputs() if output.in_cache]
            for path, md5, problem in find_problems(store, kept, by_name=asked.push):
                mended = (asked.mend or asked.push) and send_object(store, md5)
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


def parse_arguments(words: list[str]) -> argparse.Namespace:
    parser = make_parser("tools.remote", __doc__)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--mend", action="store_true", help="send what is missing or damaged")
    one.add_argument("--push", action="store_true", help="push; then look for each object by name")
    one.add_argument("--pull", action="store_true", help="pull")
    return parser.parse_args(words)


def transfer(direction: str) -> None:
    """`dvc push` or `dvc pull`, with its progress and complaints; ends as it does if it fails."""
    code = subprocess.run([*COMMAND, direction, "--run-cache"], check=False).returncode
    if code:
        sys.exit(code)


def list_s3_errors() -> tuple[type[Exception], ...]:
    """What S3's library raises, which reaches here as it is; none where it was not used."""
    library = sys.modules.get("botocore.exceptions")
    return (library.BotoCoreError,) if library else ()


def find_problems(
    store: Any, named: list[tuple[Path, str]], by_name: bool
) -> Iterator[tuple[Path, str, str]]:
    """Path, MD5 and what is wrong of each object that is not as its name says; in folders, too.

    `by_name` reads none: an object may be missing then, not damaged. A folder's list comes after
    its files, so that where it stands they do.
    """
    for path, md5 in named:
        problem = find_problem(store, md5, by_name)
        if md5.endswith(".dir") and (is_here(md5) or not problem):
            files = [(path / name, entry) for name, entry in list_folder(store, md5)]
            yield from find_problems(store, files, by_name)
        if problem:
            yield path, md5, problem


def find_problem(store: Any, md5: str, by_name: bool) -> str:
    """Whether the remote's object is missing or damaged; empty if it is well."""
    try:
        if by_name:
            return "" if store.exists(md5) else "missing"
        return "" if hash_remote(store, md5) == md5.removesuffix(".dir") else "damaged"
    except FileNotFoundError:
        return "missing"


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
