"""What lies here now: the MD5 of each file and folder, and which objects DVC's cache has."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from stages.run.hashes import md5_of_file, md5_of_folder
from stages.run.ignored import list_files, read_ignore_rules
from tools.shared.cache import cache_path

READ_ONLY = 0o444  # DVC's own mode of an object: it then trusts the name
Hashes = dict[str, str]


class Present(NamedTuple):
    hashes: Hashes  # by path, of a folder as DVC hashes it; "" if there is nothing
    files: dict[str, Hashes]  # of each folder: MD5 by path in it


def read_present(paths: Iterable[str]) -> Present:
    """Hashes the files anew. Threads halve the time: hashing does not hold Python's lock."""
    rules = read_ignore_rules()
    listed = {path: list_files(Path(path), rules) for path in dict.fromkeys(paths)}
    every = list({file for files in listed.values() for file in files})
    with ThreadPoolExecutor() as pool:
        md5 = dict(zip(every, pool.map(md5_of_file, every), strict=True))
    hashes, files = {}, {}
    for path, found in listed.items():
        if Path(path).is_dir():
            files[path] = {file.relative_to(path).as_posix(): md5[file] for file in found}
            hashes[path] = md5_of_folder(files[path])
        else:
            hashes[path] = md5[Path(path)] if found else ""
    return Present(hashes, files)


def is_in_cache(md5: str) -> bool:
    """Whether DVC's cache has the object, of a folder with every file, as far as DVC looks."""
    path = cache_path(md5)
    if not path.is_file():
        return False
    if path.stat().st_mode & 0o777 != READ_ONLY and md5_of_file(path) != md5.removesuffix(".dir"):
        return False
    return all(map(is_in_cache, list_object(md5).values()))


def list_object(md5: str) -> Hashes:
    """MD5 by path of what a folder holds, by its object in DVC's cache; of a file, nothing."""
    path = cache_path(md5)
    if not md5.endswith(".dir") or not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {entry["relpath"]: entry["md5"] for entry in entries}
