"""The record of what a result was made from, kept within the result.

`dvc exp save` and `dvc commit` write dvc.lock as if the outputs came from the present values, and
the run cache keeps returning them (tried with DVC 3.67). Only a record inside the outputs can
tell. It is a list in the metrics file of a stage: DVC's own tables leave lists out.

A line is `KIND NAME = VALUE`, the kinds are value, data, code, library and environment.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.run.environment import recorded_environment
from stages.run.hashes import md5_of_dep
from stages.run.inputs import Declaration, read_declarations, read_params
from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError

KEY = "made_from"
REQUIREMENTS = Path("requirements/pipeline.txt")
# Not the versions that run: NumPy's differs between Pythons, and the bytes are the same.
LIBRARIES = ("keras", "numpy", "onnx", "onnxruntime", "scipy", "tensorflow")
DECISIVE = ("value", "data")  # a result that differs in these is another result

Lines = list[str]


def make_record(declared: Declaration) -> Lines:
    """The record of a result that a stage makes from what lies here now."""
    params = read_params(declared.params)
    values = [format_value(key, value) for key, value in params.items()]
    hashes = [format_hash(dep, md5_of_dep(Path(dep))) for dep in declared.deps if is_recorded(dep)]
    locked = re.findall(r"(?m)^([\w-]+)==([\w.]+)", REQUIREMENTS.read_text(encoding="utf-8"))
    versions = {name: " or ".join(v for n, v in locked if n == name) for name in LIBRARIES}
    libraries = [f"library {name} = {version}" for name, version in versions.items()]
    settings = [f"environment {name} = {value}" for name, value in recorded_environment().items()]
    return [*values, *hashes, *libraries, *settings]


def format_value(key: str, value: Any) -> str:
    return f"value {key} = {json.dumps(value)}"


def format_hash(dep: str, md5: str) -> str:
    return f"{'code' if dep.startswith('stages/') else 'data'} {dep} = {md5}"


def is_recorded(dep: str) -> bool:
    """Whether a dep is in the record: all but a folder of data, as data/raw has any size.

    To hash MNIST's takes half as long as all of preprocess does.
    """
    return dep.startswith("stages/") or bool(Path(dep).suffix)


def read_record(path: Path) -> Lines | None:
    """The record of a metrics file; None without one, as in results of older versions.

    A damaged file has none: its hash tells that it is damaged.
    """
    try:
        return record_of(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None


def record_of(metrics: Any) -> Lines | None:
    record = metrics.get(KEY) if isinstance(metrics, dict) else None
    return record if isinstance(record, list) else None


def add_record(path: Path, record: Lines) -> None:
    """Put the record into a metrics file that a stage has just written."""
    metrics = json.loads(path.read_text(encoding="utf-8"))
    with atomic_write(path) as file:
        file.write((json.dumps(metrics | {KEY: record}, indent=2, allow_nan=False) + "\n").encode())


def compare_records(made: Lines, now: Lines, kinds: Iterable[str], where: str = "now") -> list[str]:
    """What differs, of these kinds: `train.epochs: 20 when it was made, 3 now`."""
    before, after = (dict(line.split(" = ", 1) for line in lines) for lines in (made, now))
    absent = "absent"
    return [
        f"{name}: {before.get(title, absent)} when it was made, {after.get(title, absent)} {where}"
        for title in before | after
        for kind, _, name in [title.partition(" ")]
        if kind in kinds and before.get(title) != after.get(title)
    ]


def refuse_other_inputs(stage: str) -> None:
    """Raise UserError if a stage before made its results from other values or data than now."""
    declarations = read_declarations()
    for earlier, declared in declarations.items():
        if not set(declared.outs) & set(declarations[stage].deps):
            continue
        for path in declared.metrics:
            differences = find_differences(Path(path), declared, DECISIVE)
            if differences:
                raise UserError(describe_other_inputs(path, earlier, differences))


def find_differences(path: Path, declared: Declaration, kinds: Iterable[str]) -> list[str]:
    """How the record in a metrics file differs from what lies here now; nothing without one."""
    made = read_record(path)
    return compare_records(made, make_record(declared), kinds) if made else []


def describe_other_inputs(path: str, stage: str, differences: list[str]) -> str:
    lines = "\n  ".join(differences)
    return (
        f"{path} was not made from the present inputs:\n  {lines}\n"
        f"Make it again with `dvc repro --force {stage}`, or undo the edit."
    )
