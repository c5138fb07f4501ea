"""MD5 hashes as DVC computes them, of files and of folders."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from stages.run.ignored import list_files, read_ignore_rules


def md5_of_bytes(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def md5_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def md5_of_folder(files: Mapping[str, str]) -> str:
    """The MD5 of DVC's list of a folder's files, from each file's MD5 by its path, and `.dir`."""
    entries = [{"md5": files[relative], "relpath": relative} for relative in sorted(files)]
    return f"{md5_of_bytes(json.dumps(entries).encode())}.dir"


def md5_of_dep(dep: Path) -> str:
    """The MD5 of a dep that lies here now, without the files that DVC ignores. "" if absent."""
    if dep.is_file():
        return md5_of_file(dep)
    if not dep.is_dir():
        return ""
    files = list_files(dep, read_ignore_rules())
    return md5_of_folder({file.relative_to(dep).as_posix(): md5_of_file(file) for file in files})
