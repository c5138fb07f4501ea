"""What a Dockerfile and its .dockerignore say, read without Docker."""

import re
from fnmatch import fnmatchcase
from pathlib import Path


def instructions_of(dockerfile: Path) -> list[tuple[str, str]]:
    """A Dockerfile's instructions as (name, rest), with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    pairs = (line.partition(" ") for line in lines if line.strip())
    return [(name, rest.strip()) for name, _, rest in pairs]


def is_sent(path: str, ignore_file: str) -> bool:
    """Whether Docker gets the file: the last pattern of .dockerignore that matches decides."""
    sent = True
    for pattern in re.findall(r"^[^#\n].*", ignore_file, re.MULTILINE):
        if is_covered(path.split("/"), pattern.removeprefix("!").split("/")):
            sent = pattern.startswith("!")
    return sent


def is_covered(names: list[str], pattern: list[str]) -> bool:
    """Whether a pattern matches the path or a folder above it, as Docker does."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return any(is_covered(names[i:], pattern[1:]) for i in range(len(names) + 1))
    if not names or not fnmatchcase(names[0], pattern[0]):
        return False
    return is_covered(names[1:], pattern[1:])
