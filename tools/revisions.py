"""What a revision says of its predictions: by which params and code, from which data, in dvc.lock.

Git is asked directly: importing DVC takes longer than all of this.
"""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages import StageError
from stages.keys import leaves, value_at

WORKSPACE = "workspace"
EXPERIMENTS = "refs/exps/[0-9a-f][0-9a-f]/*"  # two digits of the baseline, then its others

Entries = dict[str, Any]


@dataclass(frozen=True)
class Revision:
    """What predictions were made from and by, and what else was made on the way to them."""

    name: str
    commit: str | None  # None is the workspace
    params: Entries  # by key, such as train.epochs
    code: dict[str, str]  # MD5 by path
    made: dict[str, str]  # MD5 by path, the predictions' own included
    stale: list[str]  # params and code that have changed since
    parameters: int | None  # of the network

    @property
    def title(self) -> str:
        return f"{self.name} ({self.commit[:7]})" if self.commit else self.name

    @property
    def classes(self) -> list[str]:
        return list(self.params[f"{self.params['dataset']}.classes"])


def read_revision(name: str, predictions: str) -> Revision:
    """The revision `name`, a Git revision, a DVC experiment or the workspace, by its dvc.lock.

    `predictions` is the path of their file. Raises StageError if there is no such revision, if
    it has no predictions, or if the workspace was edited after they were made.
    """
    commit = resolve(name)
    place = f"`git checkout {name}`, " if commit else ""
    lock = read_yaml(name, commit, "dvc.lock")
    stages = leading_to(predictions, lock.get("stages", {}))
    if not stages:
        raise StageError(
            f"{name}: expected {predictions} in dvc.lock, found none: it has no results. "
            f"{place}`dvc repro`{' and a commit make' if commit else ' makes'} them."
        )
    outs = {out["path"]: out["md5"] for stage in stages for out in stage["outs"]}
    deps = {dep["path"]: dep.get("md5", "") for stage in stages for dep in stage["deps"]}
    made = {path: deps.get(path, md5) for path, md5 in outs.items()}  # as the last stage had it
    code = {path: md5 for path, md5 in sorted(deps.items()) if path not in outs}
    now = outs | {path: md5_of(content(commit, path) or b"") for path in code}
    params: Entries = {}
    for path in sorted(
        {path for stage in stages for path in stage.get("params", {})}, reverse=True
    ):
        file = read_yaml(name, commit, path)
        for stage in stages:
            for key, value in stage.get("params", {}).get(path, {}).items():
                params |= leaves(key, value)
                now |= leaves(key, value_at(file, key))
    stale = differing(params | code | made, now)
    if stale and commit is None:
        raise StageError(
            f"workspace: the results in dvc.lock are older than these edits: {', '.join(stale)}. "
            "`dvc repro` brings them up to date."
        )
    metrics = read_yaml(name, commit, "reports/validation.json")  # JSON is YAML, too
    return Revision(name, commit, params, code, made, stale, metrics.get("parameters"))


def resolve(name: str) -> str | None:
    """The commit that a Git revision or a DVC experiment stands for; None for the workspace."""
    if name == WORKSPACE:
        return None
    commit = commit_of(name)
    if commit:
        return commit
    found = experiments(name)
    head = commit_of("HEAD")
    of_head = {ref: commit for ref, commit in found.items() if baseline(ref) == head}
    chosen = of_head or found
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    if chosen:
        several = ", ".join(
            f"{commit[:7]} on {baseline(ref)[:7]}" for ref, commit in chosen.items()
        )
        raise StageError(f"{name}: expected one experiment, found {several}. Name one by its hash.")
    names = sorted(ref.rsplit("/", 1)[1] for ref in experiments("*"))
    known = ", ".join(dict.fromkeys(names)) or "none"
    raise StageError(
        f"{name}: expected a Git revision, a DVC experiment that has run, or {WORKSPACE}; found "
        f"none of that name. The experiments here: {known}."
    )


def commit_of(name: str) -> str:
    """Empty if Git knows no commit of that name."""
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()


def experiments(pattern: str, *conditions: str) -> dict[str, str]:
    """Commit by ref of each DVC experiment whose name matches a pattern such as wide-*."""
    form = "--format=%(refname) %(objectname)"
    lines = git("for-each-ref", form, *conditions, f"{EXPERIMENTS}/{pattern}").splitlines()
    return dict(line.split() for line in lines)


def baseline(ref: str) -> str:
    """The commit that an experiment started from, which its ref refs/exps/XX/XXXX/NAME spells."""
    return "".join(ref.split("/")[2:4])


def git(*arguments: str) -> str:
    """What Git prints; empty if it refuses."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def content(commit: str | None, path: str) -> bytes | None:
    """A file that Git keeps, as the revision has it; None if it has none."""
    if commit is None:
        return Path(path).read_bytes() if Path(path).is_file() else None
    done = subprocess.run(["git", "show", f"{commit}:./{path}"], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def read_yaml(name: str, commit: str | None, path: str) -> dict[str, Any]:
    """A file of YAML 1.2, as DVC reads it: 1e-05 is a number. An absent one is empty."""
    try:
        values = YAML(typ="safe", pure=True).load(content(commit, path) or b"{}")
    except (YAMLError, RecursionError, ValueError, LookupError) as error:
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise StageError(f"{name}: {path} is not readable as YAML: {problem}. Mend it.") from None
    return values if isinstance(values, dict) else {}


def leading_to(path: str, stages: dict[str, Any]) -> list[Any]:
    """The stages of a dvc.lock that make `path` and what it is made from, the first ones first."""
    for stage in stages.values():
        if any(out["path"] == path for out in stage.get("outs", [])):
            earlier = [s for dep in stage.get("deps", []) for s in leading_to(dep["path"], stages)]
            return [s for number, s in enumerate(earlier) if s not in earlier[:number]] + [stage]
    return []


def differing(a: Entries, b: Entries) -> list[str]:
    return [key for key in a | b if a.get(key) != b.get(key)]


def md5_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
