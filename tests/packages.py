"""An environment with some of the installed packages and no others, made without a network."""

import os
import re
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def link_packages(folder: Path, requirements: Path) -> dict[str, str]:
    """The environment of a `python -S` that sees the packages of a file of requirements alone.

    Of these it sees what is installed here, in any version.
    """
    folder.mkdir()
    for line in re.findall(r"^[\w.-]+==.+", requirements.read_text(encoding="utf-8"), re.MULTILINE):
        requirement = Requirement(line.removesuffix("\\"))
        if requirement.marker and not requirement.marker.evaluate():
            continue
        found = distribution(requirement.name)
        for name in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}:
            target, link = Path(str(found.locate_file(name))), folder / name
            if name == "__pycache__" or not target.exists():
                continue
            if link.exists() and target.is_dir():  # a namespace that two packages share
                continue
            link.symlink_to(target)
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
