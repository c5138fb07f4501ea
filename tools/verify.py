"""python -m tools.verify: is everything still what dvc.lock and requirements.txt say?

Hashes again what DVC trusts by size and time: each object of the cache that dvc.lock names, and
the outputs in the workspace. Exit code 0 only if all is well.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement

from stages import StageError
from stages.checking import read_yaml
from tools import command_line
from tools.cache import cached

LOCK, PIPELINE, REQUIREMENTS = Path("dvc.lock"), Path("dvc.yaml"), Path("requirements.txt")
RWLOCK = Path(".dvc/tmp/rwlock")


def main() -> None:
    command_line.parser("tools.verify", __doc__).parse_args()
    problems = [*wrong_versions(), *broken_rwlock(), *damaged_outputs()]
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found")
    print("All is well: versions, cache and workspace are as locked.")


def wrong_versions() -> Iterator[str]:
    """Each locked package that is missing, or installed in another version."""
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line.startswith((" ", "#")) or not line.strip():
            continue
        requirement = Requirement(line.removesuffix("\\"))
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "none"
        if not requirement.specifier.contains(found, prereleases=True):
            yield f"{requirement.name}: expected {requirement.specifier}, found {found}: `make`"


def broken_rwlock() -> Iterator[str]:
    """DVC's own lock file, empty or torn after a crash, stops every later command."""
    if RWLOCK.exists():
        try:
            json.loads(RWLOCK.read_text(encoding="utf-8"))
        except ValueError:
            yield f"{RWLOCK} is damaged: end every dvc process, then `rm {RWLOCK}`"


def damaged_outputs() -> Iterator[str]:
    """Each object of the cache and each output in the workspace that is not as dvc.lock says."""
    try:
        named = outputs()
    except StageError as error:
        yield str(error)
        return
    for output in named:
        if output.in_cache:
            yield from damaged_objects(output.path, output.md5, output.stage)
        yield from damaged_files(output.path, output.md5, output.stage)


class Output(NamedTuple):
    """What a stage makes, by dvc.yaml and dvc.lock; a folder's MD5 ends in .dir."""

    stage: str
    path: Path
    md5: str
    in_cache: bool  # DVC's; else it is kept in Git


def outputs() -> list[Output]:
    """The outputs of every stage. Raises StageError if dvc.lock does not name them all."""
    try:
        pipeline: Any = read_yaml(PIPELINE)
        lock: Any = read_yaml(LOCK)
        return [
            Output(
                name, Path(out["path"]), str(out["md5"]), out["path"] not in outside_cache(stage)
            )
            for name, stage in pipeline["stages"].items()
            for out in lock["stages"][name]["outs"]
        ]
    except (StageError, TypeError, KeyError, AttributeError) as error:
        raise StageError(
            f"{LOCK} is missing, damaged or incomplete ({error}): `git checkout -- {LOCK}` brings "
            "back the last commit's, `dvc repro` the rest"
        ) from None


def outside_cache(stage: dict[str, Any]) -> set[str]:
    """The outputs of a stage of dvc.yaml that it keeps in Git (cache: false)."""
    entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    options = [entry.items() for entry in entries if isinstance(entry, dict)]
    return {path for pairs in options for path, option in pairs if option.get("cache") is False}


def damaged_objects(path: Path, md5: str, stage: str) -> Iterator[str]:
    """What is wrong with an output's copy in DVC's cache; of a folder, with each file's."""
    copy = cached(md5)
    renew = f"`dvc pull {path}`, or `dvc repro --force {stage}`"
    if not copy.is_file():
        yield f"{path}: not in the cache ({copy}): {renew}"
    elif md5_of(copy) != md5.removesuffix(".dir"):
        yield f"{path}: its copy in the cache is damaged: `rm -f {copy}`, then {renew}"
    elif md5.endswith(".dir"):
        for entry in json.loads(copy.read_text(encoding="utf-8")):
            yield from damaged_objects(path / entry["relpath"], entry["md5"], stage)


def damaged_files(path: Path, md5: str, stage: str) -> Iterator[str]:
    """What is wrong with an output in the workspace; of a folder, with each file."""
    if md5.endswith(".dir"):
        listing = cached(md5)
        if listing.is_file() and md5_of(listing) == md5.removesuffix(".dir"):
            for entry in json.loads(listing.read_text(encoding="utf-8")):
                yield from damaged_files(path / entry["relpath"], entry["md5"], stage)
    elif not path.is_file():
        yield f"{path}: missing from the workspace: `dvc checkout`, or `dvc repro {stage}`"
    elif md5_of(path) != md5:
        yield f"{path}: not what {LOCK} says: `dvc checkout --force {path}`, or `dvc repro {stage}`"


def md5_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


if __name__ == "__main__":
    main()
