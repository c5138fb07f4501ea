"""Which model is served: the commit that it belongs to, and the MD5 of its files."""

import json
import os
import subprocess
from pathlib import Path

from serving.classifier import MODEL_FILES, md5_of_file

VARIABLE = "COMMIT"  # set in the container image, which has no Git
EXPORT = "export.json"  # beside the model in an export


def describe_version(folder: Path) -> dict[str, str | None]:
    """The commit, None if nothing tells, and MD5 by name as DVC computes it."""
    hashes = {name: md5_of_file(folder / name) for name in MODEL_FILES}
    return {"commit": find_commit(folder), **hashes}


def find_commit(folder: Path) -> str | None:
    if told := os.environ.get(VARIABLE):
        return told
    if (folder / EXPORT).is_file():
        commit: str | None = json.loads((folder / EXPORT).read_bytes()).get("commit")
        return commit
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:  # no Git
        return None
    return done.stdout.strip() or None
