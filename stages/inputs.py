"""A stage's declared inputs: what they were when it started, and whether they still are.

DVC hashes a stage's deps when the stage has ended (dvc#11058, open): it would record an edit made
meanwhile as if the outputs came from it. So a stage looks at its inputs before and after.
"""

import hashlib
import json
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from stages import StageError
from stages.checking import read_yaml
from stages.keys import leaves, value_at
from stages.params import PARAMS

PIPELINE = Path("dvc.yaml")
LIBRARIES = ("keras", "numpy", "tensorflow")  # other versions may compute other bits


class Inputs(NamedTuple):
    params: dict[str, Any]  # by key: the value
    files: dict[str, Any]  # by path: code's text, or data's sizes and times of change


def read_inputs(stage: str, pipeline: Path = PIPELINE) -> Inputs:
    """The present state of all that dvc.yaml declares as an input of the stage."""
    stages: Any = read_yaml(pipeline)["stages"]  # type: ignore[index]  # DVC has read it
    if stage not in stages:
        raise StageError(f"no such stage; {pipeline} has {', '.join(stages)}")
    declared = stages[stage]
    values = read_yaml(PARAMS)
    params: dict[str, Any] = {}
    for entry in declared["params"]:
        files = {str(PARAMS): [entry]} if isinstance(entry, str) else entry
        for file, keys in files.items():
            place = read_yaml(Path(file))
            for key in keys:
                name = re.sub(r"\$\{(.+?)\}", lambda match: str(value_at(values, match[1])), key)
                params |= leaves(name, value_at(place, name))
    return Inputs(params, {dep: file_state(Path(dep)) for dep in declared["deps"]})


def file_state(path: Path) -> object:
    """Code's text; of data, which is not read again for this, the sizes and times of change."""
    if path.suffix == ".py" and path.is_file():
        return path.read_text(encoding="utf-8")
    states = [(str(file), file.stat()) for file in contained(path)]
    return [(name, state.st_size, state.st_mtime_ns) for name, state in states]


def contained(path: Path) -> list[Path]:
    return [file for file in sorted([path, *path.rglob("*")]) if file.is_file()]


def refuse_changes(stage: str, before: Inputs, pipeline: Path = PIPELINE) -> None:
    """Raise StageError that names each input which is no longer what it was."""
    now = read_inputs(stage, pipeline)
    old, new = before.params | before.files, now.params | now.files
    changed = sorted(name for name in old | new if old.get(name) != new.get(name))
    if changed:
        raise StageError(
            f"changed while the stage ran: {', '.join(changed)}. Its outputs belong to the state "
            "before and are not recorded. Keep the edit or take it back, then `dvc repro` again."
        )


def fingerprint(inputs: Inputs) -> str:
    """A hash of inputs, files by content, and of what computes: equal ones give the same bytes."""
    versions = [platform.python_version(), *map(version, LIBRARIES)]
    digest = hashlib.sha256(json.dumps([versions, inputs.params], sort_keys=True).encode())
    for path in sorted(inputs.files):
        for part in contained(Path(path)):
            with part.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
