"""What differs between dvc.lock and what lies here now, stage by stage, as DVC compares them."""

import json
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, NamedTuple

from stages.run.keys import flatten, get_value
from stages.run.params import PARAMS
from stages.run.yaml_files import read_yaml
from tools.shared.lists import name_some
from tools.why.earlier import list_earlier
from tools.why.pipeline import Stage
from tools.why.present import Hashes, Present, is_in_cache

NAMED = 3  # files of a kind; the others are counted
WIDTH = 50  # characters of a value
ABSENT: Any = object()  # a key without a value; None is a value


class Cause(NamedTuple):
    kind: Literal["new", "command", "always", "value", "dep", "out"]
    name: str  # a path, or a key with its file
    text: str


def find_causes(stage: Stage, present: Present, made: Hashes) -> Iterator[Cause]:
    """Why the stage is not up to date; nothing if it is.

    `made` has the MD5s of deps that DVC would bring back from its cache before.
    """
    if not stage.locked:
        yield Cause("new", stage.name, "it has not run yet: dvc.lock does not name it")
        return
    if stage.locked.get("cmd") != stage.cmd:
        yield Cause("command", "cmd", f"cmd: {stage.locked.get('cmd')} -> {stage.cmd}")
    if not stage.frozen:
        if stage.always_changed:
            yield Cause("always", "always_changed", "it always runs: dvc.yaml says so")
        yield from find_values(stage)
        yield from find_deps(stage, present, made)
    yield from find_outs(stage, present)


# Values


def find_values(stage: Stage) -> Iterator[Cause]:
    """Each value of which dvc.lock has another."""
    for file, keys in stage.params.items():
        locked = stage.locked.get("params", {}).get(file)
        if not Path(file).exists():
            yield Cause("value", file, f"{file}: missing")
        elif locked is None:
            yield Cause("value", file, f"{file}: it was not read before")
        else:
            values = read_yaml(Path(file))
            for key in keys:
                before, now = locked.get(key, ABSENT), find_value(values, key)
                if before != now:
                    yield from describe_value(file, key, before, now)


def find_value(values: Any, key: str) -> Any:
    """The value at a key, ABSENT if there is none."""
    *parents, last = key.split(".")
    section = get_value(values, ".".join(parents)) if parents else values
    return section.get(last, ABSENT) if isinstance(section, dict) else ABSENT


def describe_value(file: str, key: str, before: Any, now: Any) -> Iterator[Cause]:
    """Such as train.epochs: 20 -> 5, for each single value of a section."""
    a, b = flatten(key, before), flatten(key, now)
    place = "" if file == str(PARAMS) else f"{file}: "
    for name in a | b:
        old, new = a.get(name, ABSENT), b.get(name, ABSENT)
        if old != new:
            shown = " -> ".join(shorten_values(old, new))
            yield Cause("value", f"{place}{name}", f"{place}{name}: {shown}")


def shorten_values(*values: Any) -> list[str]:
    """The values on a line, shortened if that still tells them apart."""
    texts = [
        "absent" if value is ABSENT else json.dumps(value, ensure_ascii=False, default=str)
        for value in values
    ]
    short = [shorten(text, WIDTH, placeholder=" ...") for text in texts]
    return short if len(set(short)) == len(set(texts)) else texts


# Files


def find_deps(stage: Stage, present: Present, made: Hashes) -> Iterator[Cause]:
    for dep in stage.deps:
        before, now = stage.locked_hash("deps", dep), made.get(dep, present.hashes[dep])
        if not now:
            yield Cause("dep", dep, f"{dep}: missing")
        elif not before:
            yield Cause("dep", dep, f"{dep}: it was no dep before")
        elif before != now:
            yield Cause("dep", dep, describe_change(dep, before, present))


def find_outs(stage: Stage, present: Present) -> Iterator[Cause]:
    for out in stage.outs:
        before, now = stage.locked_hash("outs", out), present.hashes[out]
        if not before:
            yield Cause("out", out, f"{out}: the stage did not make it before")
        elif not now:
            yield Cause("out", out, f"{out}: missing")
        elif before != now:
            yield Cause("out", out, describe_change(out, before, present))
        elif out not in stage.outside_cache and not is_in_cache(before):
            yield Cause("out", out, f"{out}: not in DVC's cache")


def describe_change(path: str, before: str, present: Present) -> str:
    """That a file changed, or which files of a folder did."""
    if path not in present.files:
        return f"{path}: changed"
    if not before.endswith(".dir"):
        return f"{path}: a folder now, a file before"
    earlier = list_earlier(path, before)
    if earlier is None:
        return f"{path}: changed; no commit and no cache says what it held before"
    return f"{path}: {describe_files(earlier, present.files[path])}"


def describe_files(before: Hashes, now: Hashes) -> str:
    """Such as 2 files added (a.png, b.png), 1 removed (c.png)."""
    kinds = {
        "added": sorted(now.keys() - before.keys()),
        "removed": sorted(before.keys() - now.keys()),
        "changed": sorted(name for name in before.keys() & now.keys() if before[name] != now[name]),
    }
    return ", ".join(
        f"{len(names):,} {kind} ({name_some(names, NAMED)})"
        for kind, names in kinds.items()
        if names
    )
