"""dvc.yaml and dvc.lock as DVC reads them, as far as this project uses DVC."""

from pathlib import Path
from typing import Any, NamedTuple

from stages.run.inputs import fill_in, fill_in_stage
from stages.run.params import PARAMS
from stages.run.yaml_files import read_yaml
from stages.shared.errors import UserError
from tools.shared.git import how_to_restore
from tools.shared.outputs import list_outside_cache
from tools.shared.paths import LOCK, PIPELINE

KNOWN_TO_FILE = {"stages", "artifacts", "params", "metrics", "plots"}
KNOWN_TO_STAGE = {
    "desc", "meta", "cmd", "deps", "params", "outs", "metrics", "plots", "frozen", "always_changed",
}  # fmt: skip


class Stage(NamedTuple):
    """What dvc.yaml says of a stage, and dvc.lock: `locked` is empty if the stage never ran."""

    name: str
    cmd: Any
    deps: list[str]
    params: dict[str, list[str]]  # by file: its keys
    outs: list[str]  # metrics and plots included
    outside_cache: set[str]
    frozen: bool
    always_changed: bool
    locked: dict[str, Any]

    def locked_hash(self, kind: str, path: str) -> str:
        """The MD5 of a dep or an out in dvc.lock; "" without one."""
        entries = {entry["path"]: entry.get("md5", "") for entry in self.locked.get(kind, [])}
        return str(entries.get(path, ""))


def read_stages() -> list[Stage]:
    """Every stage, each after those that make its deps.

    Raises UserError if a file is not readable, or uses what is not known here.
    """
    pipeline: Any = read_yaml(PIPELINE)
    values = read_yaml(PARAMS)
    locked = read_locked()
    refuse_unknown(pipeline, KNOWN_TO_FILE, str(PIPELINE))
    stages = []
    for name, block in pipeline["stages"].items():
        refuse_unknown(block, KNOWN_TO_STAGE, f"{PIPELINE}: {name}")
        declared = fill_in_stage({"deps": [], "params": []} | block, values)
        stages.append(
            Stage(
                name,
                fill_in_command(block["cmd"], values),
                declared.deps,
                declared.params,
                declared.outs,
                list_outside_cache(block),
                block.get("frozen", False),
                block.get("always_changed", False) or (not declared.deps and not declared.params),
                locked.get(name, {}),
            )
        )
    return sort_stages(stages)


def read_locked() -> dict[str, Any]:
    """What dvc.lock has of each stage; nothing without one."""
    if not LOCK.exists():
        return {}
    try:
        lock: Any = read_yaml(LOCK)
        return dict(lock["stages"].items())
    except (UserError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{LOCK}: {error}: {how_to_restore(str(LOCK))}") from None


def refuse_unknown(block: dict[str, Any], known: set[str], place: str) -> None:
    if unknown := block.keys() - known:
        raise UserError(
            f"{place}: expected {', '.join(sorted(known))}; found {', '.join(sorted(unknown))}, "
            "which this command does not know: ask `dvc status`"
        )


def fill_in_command(cmd: Any, values: Any) -> Any:
    return (
        [fill_in(line, values) for line in cmd] if isinstance(cmd, list) else fill_in(cmd, values)
    )


def sort_stages(stages: list[Stage]) -> list[Stage]:
    """The stages in an order in which they can run."""
    done: list[Stage] = []

    def add(stage: Stage) -> None:
        if stage not in done:
            for earlier in makers_of(stage, stages):
                add(earlier)
            done.append(stage)

    for stage in stages:
        add(stage)
    return done


def makers_of(stage: Stage, stages: list[Stage]) -> list[Stage]:
    """The stages that make a dep of the stage, or a part of one."""
    return [
        other
        for other in stages
        if other is not stage and any(overlap(dep, out) for dep in stage.deps for out in other.outs)
    ]


def overlap(a: str, b: str) -> bool:
    """Whether the paths are the same, or one lies in the other."""
    return Path(a).is_relative_to(b) or Path(b).is_relative_to(a)
