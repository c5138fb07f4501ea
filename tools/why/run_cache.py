"""DVC's run cache: whether it knows a run of the same command, values and deps, and its outputs.

The key is that of DVC 3: the SHA-256 of what dvc.lock would say, with the outputs' paths for their
hashes (dvc/stage/cache.py).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.run.yaml_files import read_yaml
from tools.shared.cache import cache_folder
from tools.why.causes import ABSENT, find_value
from tools.why.pipeline import Stage
from tools.why.present import Hashes, is_in_cache

LEFT_OUT = ("size", "nfiles")  # of the key


def find_run(stage: Stage, hashes: Hashes) -> Hashes | None:
    """MD5 by path of the outputs that DVC would bring back instead of a run; None if it would not.

    `hashes` are those of the stage's deps.
    """
    if stage.always_changed or not stage.deps or not all(hashes.values()):
        return None
    known = {out: stage.locked_hash("outs", out) for out in stage.outs}
    if not is_as_locked(stage, hashes) or not all(known.values()):
        found = read_run(find_key(stage, hashes))
        if found is None:
            return None
        known = found
    return known if all(map(is_in_cache, known.values())) else None


def is_as_locked(stage: Stage, hashes: Hashes) -> bool:
    """Whether the command, the values and the deps are those of dvc.lock."""
    return (
        stage.locked.get("cmd") == stage.cmd
        and all(stage.locked_hash("deps", dep) == md5 for dep, md5 in hashes.items())
        and all(
            stage.locked.get("params", {}).get(file, {}).get(key, ABSENT) == value
            for file, values in present_values(stage).items()
            for key, value in values.items()
        )
    )


def present_values(stage: Stage) -> dict[str, dict[str, Any]]:
    """The values of the stage by file and key."""
    return {
        file: {key: find_value(read_yaml(Path(file)), key) for key in keys}
        for file, keys in stage.params.items()
    }


def find_key(stage: Stage, hashes: Hashes) -> str:
    """The name under which the run cache has such a run."""
    run = {
        "cmd": stage.cmd,
        "deps": [{"path": dep, "hash": "md5", "md5": hashes[dep]} for dep in sorted(hashes)],
        "params": present_values(stage),
        "outs": sorted(stage.outs),
    }
    if not stage.params:
        del run["params"]
    text = json.dumps(leave_out(run), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def leave_out(value: Any) -> Any:
    """The value without the keys LEFT_OUT, wherever they stand, as DVC does it."""
    if isinstance(value, list):
        return [leave_out(each) for each in value]
    if isinstance(value, dict):
        return {key: leave_out(below) for key, below in value.items() if key not in LEFT_OUT}
    return value


def read_run(key: str) -> Hashes | None:
    """MD5 by path of the outputs of the newest run with that key."""
    runs = list((cache_folder() / "runs" / key[:2] / key).glob("*"))
    if not runs:
        return None
    newest = max(runs, key=lambda path: path.stat().st_mtime)
    run: Any = YAML(typ="safe", pure=True).load(newest.read_bytes())
    return {out["path"]: out["md5"] for out in run["outs"]}
