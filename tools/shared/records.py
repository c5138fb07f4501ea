"""What results say of what they were made from, held against dvc.lock and the present files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.run.inputs import read_declarations
from stages.run.keys import flatten
from stages.run.params import PARAMS
from stages.run.record import (
    DECISIVE,
    Lines,
    compare_records,
    find_differences,
    format_hash,
    format_value,
    is_recorded,
    read_record,
)
from stages.run.yaml_files import read_yaml
from tools.shared.paths import LOCK

HARMLESS = ("code", "library", "environment")  # a result may be the same all the same


def wrong_records() -> Iterator[str]:
    """Each result in the workspace that was made from other values or data than dvc.lock says."""
    lock: Any = read_yaml(LOCK)
    for stage, declared in read_declarations().items():
        for path in declared.metrics:
            made = read_record(Path(path))
            if made and (differences := contradictions(made, lock["stages"][stage])):
                yield f"{describe_contradictions(path, differences)} `dvc repro --force {stage}`"


def older_records() -> Iterator[str]:
    """What to know of results made with other code, libraries or settings, which is no fault."""
    for declared in read_declarations().values():
        for path in declared.metrics:
            for difference in find_differences(Path(path), declared, HARMLESS):
                yield f"{path}: {difference}"


def contradictions(made: Lines, locked: dict[str, Any]) -> list[str]:
    """How a record differs in values or data from what dvc.lock has of the stage that made it."""
    lines = []
    for path, keys in locked.get("params", {}).items():
        prefix = "" if path == str(PARAMS) else f"{Path(path).name}:"
        for key, value in keys.items():
            lines += [format_value(*item) for item in flatten(f"{prefix}{key}", value).items()]
    deps = [dep for dep in locked.get("deps", []) if is_recorded(dep["path"])]
    lines += [format_hash(dep["path"], dep.get("md5", "")) for dep in deps]
    return compare_records(made, lines, DECISIVE, where=f"in {LOCK}")


def describe_contradictions(path: str, differences: list[str]) -> str:
    lines = "\n  ".join(differences)
    return f"{path} was not made from what {LOCK} says:\n  {lines}\nTo make it again:"
