"""What a revision says of what it made: by which values and code, from which data.

All of it is in its dvc.lock.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.run.keys import flatten, get_value
from stages.run.params import PARAMS
from stages.run.record import record_of
from stages.shared.errors import UserError
from tools.shared.code import hash_code
from tools.shared.git import how_to_restore, read_content, resolve_revision
from tools.shared.paths import COUNTS, LOCK, METRIC_FILES, STAGES
from tools.shared.records import contradictions, describe_contradictions

Entries = dict[str, Any]


@dataclass(frozen=True)
class Revision:
    """What an output was made from and by, and what else was made on the way to it."""

    name: str
    commit: str | None  # None is the workspace
    params: Entries  # by key, such as train.epochs; those of a dataset.yaml as dataset.yaml:KEY
    code: dict[str, str]  # and corrections.csv: MD5 by path, of a folder as DVC hashes it
    made: dict[str, str]  # MD5 by path, the output's own included
    stale: list[str]  # params and code that have changed since
    weights: int | None  # numbers that the network has learnt

    @property
    def title(self) -> str:
        return f"{self.name} ({self.commit[:7]})" if self.commit else self.name

    @property
    def classes(self) -> list[str]:
        return list(self.params["dataset.yaml:classes"])


def read_revision(name: str, output: str) -> Revision:
    """The revision `name`, a Git revision, a DVC experiment or the workspace, by its dvc.lock.

    `output` is the path of a file that a stage makes: what led to it counts. Raises UserError if
    there is no such revision, if it lacks that file, or if the workspace was edited afterwards.
    """
    commit = resolve_revision(name)
    stages = read_locked_stages(name, commit, output)
    outs = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    deps = {dep["path"]: dep.get("md5", "") for stage in stages for dep in stage["deps"]}
    made = {path: deps.get(path, md5) for path, md5 in outs.items()}  # as the last stage had it
    code = {path: md5 for path, md5 in sorted(deps.items()) if is_written_by_hand(path)}
    params, params_now = read_locked_params(name, commit, stages)
    now = outs | {path: hash_code(commit, path) for path in code} | params_now
    stale = differing_keys(params | code | made, now)
    if stale and commit is None:
        raise UserError(
            f"workspace: the results in {LOCK} are older than these edits: {', '.join(stale)}. "
            "`dvc repro` brings them up to date."
        )
    refuse_other_results(name, commit, stages)
    metrics = read_yaml_at(name, commit, str(METRIC_FILES["validation"]))  # JSON is YAML as well
    return Revision(name, commit, params, code, made, stale, metrics.get("parameters"))


def is_written_by_hand(path: str) -> bool:
    """Whether a dep is code or corrections of labels; other data are made or taken in."""
    return path.startswith(f"{STAGES}/") or Path(path).name == "corrections.csv"


def refuse_other_results(name: str, commit: str | None, stages: list[Any]) -> None:
    """Raise UserError if results were made from other values or data than dvc.lock says.

    `dvc exp save` and `dvc commit` after an edit that was not run leave such a dvc.lock.
    """
    for stage in stages:
        for out in stage["outs"]:
            if Path(out["path"]) not in (COUNTS, *METRIC_FILES.values()):
                continue
            made = record_of(read_yaml_at(name, commit, out["path"]))
            if differences := contradictions(made, stage) if made else []:
                problem = describe_contradictions(out["path"], differences)
                raise UserError(f"{name}: {problem} `dvc repro --force` there.")


def read_locked_stages(name: str, commit: str | None, output: str) -> list[Any]:
    """What dvc.lock has of the stages that lead to the output, the first ones first."""
    lock = read_yaml_at(name, commit, str(LOCK))
    stages = stages_leading_to(output, lock.get("stages", {}))
    if not stages:
        place = f"`git checkout {name}`, " if commit else ""
        raise UserError(
            f"{name}: expected {output} in {LOCK}, found none: it has no results. "
            f"{place}`dvc repro`{' and a commit make' if commit else ' makes'} them."
        )
    return stages


def read_locked_params(name: str, commit: str | None, stages: list[Any]) -> tuple[Entries, Entries]:
    """The values in dvc.lock by key, and those that the revision's files have at these keys."""
    locked: Entries = {}
    now: Entries = {}
    for path in sorted({path for stage in stages for path in stage.get("params", {})}):
        file = read_yaml_at(name, commit, path)
        for stage in stages:
            for key, value in stage.get("params", {}).get(path, {}).items():
                title = key if path == str(PARAMS) else dataset_key(path, key)
                locked |= flatten(title, value)
                now |= flatten(title, get_value(file, key))
    return locked, now


def dataset_key(path: str, key: str) -> str:
    """One name for a key of any data set. Old commits kept all data sets in data/catalog.yaml."""
    return f"dataset.yaml:{key.partition('.')[2] if path == 'data/catalog.yaml' else key}"


def read_yaml_at(name: str, commit: str | None, path: str) -> dict[str, Any]:
    """A file of YAML 1.2, as DVC reads it: 1e-05 is a number. An absent one is empty."""
    try:
        values = YAML(typ="safe", pure=True).load(read_content(commit, path) or b"{}")
    except (YAMLError, RecursionError, ValueError, LookupError) as error:
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        cure = "Mend it" if commit else how_to_restore(path)
        raise UserError(f"{name}: {path} is not readable as YAML: {problem}. {cure}.") from None
    return values if isinstance(values, dict) else {}


def stages_leading_to(path: str, stages: dict[str, Any]) -> list[Any]:
    """The stages of a dvc.lock that make `path` and what it is made from, the first ones first."""
    for stage in stages.values():
        if any(out["path"] == path for out in stage.get("outs", [])):
            earlier = [
                s for dep in stage.get("deps", []) for s in stages_leading_to(dep["path"], stages)
            ]
            return [s for number, s in enumerate(earlier) if s not in earlier[:number]] + [stage]
    return []


def differing_keys(a: Entries, b: Entries) -> list[str]:
    return [key for key in a | b if a.get(key) != b.get(key)]
