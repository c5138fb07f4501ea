"""A stage's declared inputs: what they were when it started, and whether they still are.

DVC hashes a stage's deps when the stage has ended (dvc#11058, open), so it would record an edit
made meanwhile as if the outputs came from it. Therefore a stage looks at its inputs before and
after.
"""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from stages.run.ignored import list_files, read_ignore_rules
from stages.run.keys import flatten, get_value
from stages.run.params import PARAMS
from stages.run.versions import installed_version
from stages.run.yaml_files import read_yaml
from stages.shared.errors import UserError

PIPELINE = Path("dvc.yaml")
LIBRARIES = ("keras", "numpy", "tensorflow")  # other versions may compute other bits


class Inputs(NamedTuple):
    params: dict[str, Any]  # by key: the value
    files: dict[str, Any]  # by path: code's text, or data's size and time of change


class Declaration(NamedTuple):
    """What dvc.yaml says of a stage, with every `${...}` filled in."""

    deps: list[str]
    params: dict[str, list[str]]  # by file: its keys
    outs: list[str]  # metrics and plots included
    metrics: list[str]


def read_declarations() -> dict[str, Declaration]:
    """Every stage of dvc.yaml by its name."""
    pipeline: Any = read_yaml(PIPELINE)
    values = read_yaml(PARAMS)
    return {name: fill_in_stage(stage, values) for name, stage in pipeline["stages"].items()}


def read_declaration(stage: str) -> Declaration:
    declarations = read_declarations()
    if stage not in declarations:
        raise UserError(f"no such stage; {PIPELINE} has {', '.join(declarations)}")
    return declarations[stage]


def fill_in_stage(stage: dict[str, Any], values: Any) -> Declaration:
    params: dict[str, list[str]] = {}
    for entry in stage["params"]:
        keys_of_file = {str(PARAMS): [entry]} if isinstance(entry, str) else entry
        for file, keys in keys_of_file.items():
            params.setdefault(fill_in(file, values), []).extend(
                fill_in(key, values) for key in keys
            )
    paths = {
        kind: [
            entry if isinstance(entry, str) else next(iter(entry)) for entry in stage.get(kind, [])
        ]
        for kind in ("outs", "metrics", "plots")
    }
    deps = [fill_in(dep, values) for dep in stage["deps"]]
    return Declaration(deps, params, list(chain(*paths.values())), paths["metrics"])


def read_inputs(stage: str) -> Inputs:
    """The present state of everything that dvc.yaml declares as an input of the stage."""
    declared = read_declaration(stage)
    return Inputs(read_params(declared.params), read_files(declared.deps))


def read_params(keys_of_file: dict[str, list[str]]) -> dict[str, Any]:
    """Each single value by its key; that of a data set as dataset.yaml:KEY."""
    found: dict[str, Any] = {}
    for file, keys in keys_of_file.items():
        place = read_yaml(Path(file))
        prefix = "" if file == str(PARAMS) else f"{Path(file).name}:"
        for key in keys:
            found |= flatten(f"{prefix}{key}", get_value(place, key))
    return found


def fill_in(text: str, values: Any) -> str:
    """The text with `${key}` replaced by the value of params.yaml, as DVC does."""
    return re.sub(r"\$\{(.+?)\}", lambda match: str(get_value(values, match[1])), text)


def read_files(deps: list[str]) -> dict[str, Any]:
    """The state of each file among the deps that DVC looks at; of a missing dep, None."""
    rules = read_ignore_rules()
    states: dict[str, Any] = {}
    for dep in map(Path, deps):
        states |= {str(file): read_state(file) for file in list_files(dep, rules)}
        if not dep.exists():
            states[str(dep)] = None
    return states


def read_state(file: Path) -> object:
    """Code's text; of data, which is not read again for this, the size and time of change."""
    if file.suffix == ".py":
        return file.read_bytes()
    return file.stat().st_size, file.stat().st_mtime_ns


def refuse_changes(before: Inputs, now: Inputs) -> None:
    """Raise UserError that names each input which is no longer what it was."""
    old, new = before.params | before.files, now.params | now.files
    changed = sorted(name for name in old | new if old.get(name) != new.get(name))
    if changed:
        raise UserError(
            f"changed while this ran: {', '.join(changed)}. The outputs belong to the state "
            "before, so they are not recorded. Keep the edit or undo it, then run it again."
        )


def fingerprint(inputs: Inputs, environment: Mapping[str, str]) -> str:
    """A hash of the inputs, files by content, and of what computes, the environment included.

    Equal fingerprints give the same bytes.
    """
    versions = [platform.python_version(), *map(installed_version, LIBRARIES)]
    state = [versions, inputs.params, dict(environment)]
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode())
    for path in sorted(inputs.files):
        digest.update(f"\0{path}\0".encode())
        if Path(path).is_file():
            with Path(path).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
