"""python -m tools.verify: is everything still what dvc.lock and the requirements say?

Hashes again what DVC trusts by size and time: each object of the cache that dvc.lock names, and
the outputs in the workspace. Exit code 0 only if all is well.
"""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from packaging.requirements import Requirement

from stages.run.hashes import md5_of_file
from stages.run.versions import installed_version
from stages.shared.errors import UserError
from tools.shared.cache import cache_path
from tools.shared.command_line import make_parser
from tools.shared.git import AFTER_MERGE, list_conflicts
from tools.shared.imports import stray_modules
from tools.shared.outputs import damaged_files, read_outputs
from tools.shared.paths import LOCK, REQUIREMENTS
from tools.shared.records import older_records, wrong_records

RWLOCK = Path(".dvc/tmp/rwlock")


def main() -> None:
    make_parser("tools.verify", __doc__).parse_args()
    problems = list(unfinished_merge()) or [
        *wrong_versions(),
        *broken_rwlock(),
        *stray_code(),
        *wrong_results(),
        *damaged_outputs(),
    ]
    for problem in problems:
        print(problem)
    for note in older_results():
        print(f"note: {note}")
    if problems:
        sys.exit(f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found")
    print("All is well: versions, cache and workspace are as locked.")


def unfinished_merge() -> Iterator[str]:
    """What Git could not merge, which makes all the rest wrong; or why it cannot be asked."""
    try:
        if conflicts := list_conflicts():
            yield f"conflicts in {', '.join(conflicts)}. {AFTER_MERGE}"
    except UserError as error:
        if "not a git repository" not in str(error):  # as in a container image
            yield str(error)


def wrong_versions() -> Iterator[str]:
    """Each locked package that is missing, or installed in another version."""
    for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines():
        if line.startswith((" ", "#")) or not line.strip():
            continue
        requirement = Requirement(line.removesuffix("\\"))
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            found = installed_version(requirement.name)
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


def stray_code() -> Iterator[str]:
    """Python files in a stage's folder that its main does not reach, but that make it stale."""
    try:
        for stage, path in stray_modules():
            yield (
                f"{path}: no import of {stage} reaches it, yet it makes the stage run again and "
                f"its hash goes into {LOCK}: move it out of the folder"
            )
    except UserError as error:
        yield str(error)


def wrong_results() -> Iterator[str]:
    """Results that dvc.lock vouches for, but that were made from other values or data."""
    try:
        yield from wrong_records()
    except (UserError, TypeError, KeyError):
        return  # without a whole dvc.lock, which damaged_outputs says


def older_results() -> Iterator[str]:
    """Results made with other code, libraries or settings, which is no fault."""
    try:
        yield from older_records()
    except UserError:
        return  # wrong_results says why


def damaged_outputs() -> Iterator[str]:
    """Each object of the cache and each output in the workspace that is not as dvc.lock says."""
    try:
        named = read_outputs()
    except UserError as error:
        yield str(error)
        return
    for output in named:
        if output.in_cache:
            yield from damaged_objects(output.path, output.md5, output.stage)
        yield from damaged_files(output)


def damaged_objects(path: Path, md5: str, stage: str) -> Iterator[str]:
    """What is wrong with an output's copy in DVC's cache; of a folder, with each file's."""
    copy = cache_path(md5)
    renew = f"`dvc pull {path}`, or `dvc repro --force {stage}`"
    if not copy.is_file():
        yield f"{path}: not in the cache ({copy}): {renew}"
    elif md5_of_file(copy) != md5.removesuffix(".dir"):
        yield f"{path}: its copy in the cache is damaged: `rm -f {copy}`, then {renew}"
    elif md5.endswith(".dir"):
        for entry in json.loads(copy.read_text(encoding="utf-8")):
            yield from damaged_objects(path / entry["relpath"], entry["md5"], stage)


if __name__ == "__main__":
    main()
