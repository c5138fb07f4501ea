"""What `dvc repro` would do with each stage, those that follow from others included."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

from stages.run.yaml_files import read_yaml
from tools.why.causes import Cause, describe_change, find_causes
from tools.why.pipeline import Stage, makers_of, overlap, read_stages
from tools.why.present import Hashes, Present, is_in_cache, read_present
from tools.why.run_cache import find_run


class Step(NamedTuple):
    """`waits` are the deps whose makers may make other bytes; with them it may run, too."""

    name: str
    outcome: Literal["nothing", "restored", "runs", "may run"]
    causes: list[Cause]
    waits: dict[str, list[str]]  # by maker: the deps


class Tracked(NamedTuple):
    """What a .dvc file of the data set says that it stands for."""

    file: str
    path: str
    md5: str


def make_plan() -> list[Step]:
    """A step for each data set's .dvc file and each stage, in the order in which they can run."""
    stages = read_stages()
    deps = {dep for stage in stages for dep in stage.deps}
    tracked = [each for dep in sorted(deps) for each in read_tracked(Path(dep))]
    outs = {out for stage in stages for out in stage.outs}
    present = read_present(deps | outs | {each.path for each in tracked})
    steps = [step for each in tracked for step in plan_tracked(each, present)]
    made: Hashes = {}  # what DVC would bring back from its cache
    for stage in stages:
        steps.append(plan_stage(stage, stages, steps, present, made))
    return steps


def plan_stage(
    stage: Stage, stages: list[Stage], steps: list[Step], present: Present, made: Hashes
) -> Step:
    """The stage's step after those of the stages before; notes in `made` what is brought back."""
    outcomes = {step.name: step.outcome for step in steps}
    waits = {
        maker.name: [dep for dep in stage.deps if any(overlap(dep, out) for out in maker.outs)]
        for maker in makers_of(stage, stages)
        if not stage.frozen and outcomes[maker.name] in ("runs", "may run")
    }
    unknown = {dep for deps in waits.values() for dep in deps}
    causes = [
        cause
        for cause in find_causes(stage, present, made)
        if cause.kind != "dep" or cause.name not in unknown
    ]
    if not causes:
        return Step(stage.name, "may run" if waits else "nothing", [], waits)
    hashes = {dep: made.get(dep, present.hashes[dep]) for dep in stage.deps}
    found = None if waits else find_run(stage, hashes)
    if found is None:
        return Step(stage.name, "runs", causes, waits)
    made |= found
    return Step(stage.name, "restored", causes, {})


def read_tracked(folder: Path) -> list[Tracked]:
    """What the .dvc files in a folder that is a dep stand for."""
    found = []
    for file in sorted(folder.glob("*.dvc")):
        values: Any = read_yaml(file)
        found += [
            Tracked(str(file), (file.parent / out["path"]).as_posix(), out.get("md5", ""))
            for out in values["outs"]
        ]
    return found


def plan_tracked(tracked: Tracked, present: Present) -> list[Step]:
    """A step if the files are not those of the .dvc file."""
    now = present.hashes[tracked.path]
    if not now:
        text = f"{tracked.path}: missing; `dvc checkout` or `dvc pull` brings it"
    elif now != tracked.md5:
        change = describe_change(tracked.path, tracked.md5, present)
        text = f"{change}; `python -m tools.dataset NAME` records it"
    elif not is_in_cache(now):
        text = f"{tracked.path}: not in DVC's cache"
    else:
        return []
    return [Step(tracked.file, "runs", [Cause("out", tracked.path, text)], {})]
