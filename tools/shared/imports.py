"""Which files of stages/ a stage's code consists of, by following its imports."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.run.yaml_files import read_yaml
from tools.shared.paths import PIPELINE, STAGES


def reached_files(stage: str) -> set[Path]:
    """The files that `stages.STAGE.main` consists of: itself, what it imports, what these import.

    Imports within functions count. Those under `if TYPE_CHECKING:` do not: they never happen. What
    stages/run calls of a stage before its main, environment.py, counts as well.
    """
    found: set[Path] = set()
    todo = [
        path
        for name in ("main", "environment")
        for path in files_of_module(f"stages.{stage}.{name}")
    ]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            todo += [file for name in imported_names(tree) for file in files_of_module(name)]
    return found


def files_of_module(name: str) -> list[Path]:
    """The files that an import of `name` runs, packages on the way included; of stages/ alone.

    `name` may be what `from module import name` brings, which need not be a module.
    """
    parts = name.split(".")
    if parts[0] != STAGES.name:
        return []
    prefixes = [Path(*parts[:length]) for length in range(1, len(parts) + 1)]
    files = [file for path in prefixes for file in (path / "__init__.py", path.with_suffix(".py"))]
    return [file for file in files if file.is_file()]


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Every name that an import statement brings, with its module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from (name for other in node.orelse for name in imported_names(other))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imported_names(node)


def stray_modules() -> Iterator[tuple[str, Path]]:
    """Each stage with each Python file of its folder that its code does not reach.

    A file that starts with a dot is none: .dvcignore names it.
    """
    pipeline: Any = read_yaml(PIPELINE)
    for stage in pipeline["stages"]:
        for path in sorted(set((STAGES / stage).glob("[!.]*.py")) - reached_files(stage)):
            yield stage, path
