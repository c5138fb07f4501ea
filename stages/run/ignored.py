"""Which files DVC looks at: all but those that .dvcignore names."""

import os
from pathlib import Path

from pathspec import GitIgnoreSpec

IGNORE_FILE = Path(".dvcignore")


def read_ignore_rules(path: Path = IGNORE_FILE) -> GitIgnoreSpec:
    """The patterns of the project's .dvcignore; DVC's own folders are ignored as well."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return GitIgnoreSpec.from_lines(["/.git/", "/.dvc/", *lines])


def list_files(path: Path, rules: GitIgnoreSpec) -> list[Path]:
    """The file, or those of the folder that DVC sees, sorted; none if there is no such path.

    A dep that is a file is looked at even if .dvcignore names it, as DVC does.
    """
    if path.is_file():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = [n for n in folders if not rules.match_file(f"{Path(folder, n).as_posix()}/")]
        files = (Path(folder, name) for name in names)
        found += [file for file in files if not rules.match_file(file.as_posix())]
    return sorted(found)
