"""The stages' outputs, by dvc.yaml and dvc.lock, and what is wrong with them in the workspace."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stages.run.hashes import md5_of_file
from stages.run.yaml_files import read_yaml
from stages.shared.errors import UserError
from tools.shared.cache import cache_path
from tools.shared.git import how_to_restore
from tools.shared.paths import LOCK, PIPELINE


class Output(NamedTuple):
    """What a stage makes, by dvc.yaml and dvc.lock; a folder's MD5 ends in .dir."""

    stage: str
    path: Path
    md5: str
    in_cache: bool  # DVC's; else it is kept in Git


def read_outputs() -> list[Output]:
    """The outputs of every stage. Raises UserError if dvc.lock does not name them all."""
    try:
        pipeline: Any = read_yaml(PIPELINE)
        lock: Any = read_yaml(LOCK)
        return [
            Output(
                name,
                Path(out["path"]),
                str(out["md5"]),
                out["path"] not in list_outside_cache(stage),
            )
            for name, stage in pipeline["stages"].items()
            for out in lock["stages"][name]["outs"]
        ]
    except (UserError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{LOCK} is missing, damaged or incomplete ({error}): {how_to_restore(str(LOCK))}"
        ) from None


def list_outside_cache(stage: dict[str, Any]) -> set[str]:
    """The outputs of a stage of dvc.yaml that it keeps in Git (cache: false)."""
    entries = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    options = [entry.items() for entry in entries if isinstance(entry, dict)]
    return {path for pairs in options for path, option in pairs if option.get("cache") is False}


def damaged_files(output: Output) -> Iterator[str]:
    """What is wrong with an output in the workspace; of a folder, with each file."""
    for path, md5 in list_files_of(output.path, output.md5):
        if path.is_file() and md5_of_file(path) == md5:
            continue
        again = f"`dvc repro {output.stage}`"
        if not output.in_cache:  # DVC's checkout passes it over
            remedy = f"{again}, or `git checkout -- {path}` brings back the last commit's"
        elif path.is_file():
            remedy = f"`dvc checkout --force {path}`, or {again}"
        else:
            remedy = f"`dvc checkout`, or {again}"
        wrong = f"not what {LOCK} says" if path.is_file() else "missing from the workspace"
        yield f"{path}: {wrong}: {remedy}"


def list_files_of(path: Path, md5: str) -> Iterator[tuple[Path, str]]:
    """An output with its MD5; of a folder each file, if DVC's list of them is in the cache."""
    if not md5.endswith(".dir"):
        yield path, md5
        return
    listing = cache_path(md5)
    if listing.is_file() and md5_of_file(listing) == md5.removesuffix(".dir"):
        for entry in json.loads(listing.read_text(encoding="utf-8")):
            yield path / entry["relpath"], entry["md5"]
