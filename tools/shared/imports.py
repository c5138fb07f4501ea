"""Which files of stages/ a stage's code consists of, by following its imports."""

import ast
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path
from typing import Any, TypeGuard

from stages.run.yaml_files import read_yaml
from stages.shared.errors import UserError
from tools.shared.paths import PIPELINE, STAGES


def reached_files(stage: str) -> set[Path]:
    """The files that `stages.STAGE.main` consists of: itself, what it imports, what these import.

    Imports within functions count. Those under `if TYPE_CHECKING:` do not: they never happen. What
    stages/run calls of a stage before its main, environment.py, counts as well. Raises UserError
    if a file cannot be parsed.
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
            names = imported_names(parse_code(path), ".".join(path.parts[:-1]))
            todo += [file for name in names for file in files_of_module(name)]
    return found


def parse_code(path: Path) -> ast.Module:
    """Raises UserError if it is not Python, as with the marks of a merge in it."""
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(
            f"{path}, line {error.lineno}: not readable as Python: {error.msg}"
        ) from None


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


def imported_names(node: ast.AST, package: str) -> Iterator[str]:
    """Every name that an import within `node` brings, with its module; relative to `package`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = resolve_name("." * node.level + (node.module or ""), package)
        yield from (f"{module}.{alias.name}" for alias in node.names)
    else:
        parts = node.orelse if is_for_types_alone(node) else ast.iter_child_nodes(node)
        yield from (name for part in parts for name in imported_names(part, package))


def is_for_types_alone(node: ast.AST) -> TypeGuard[ast.If]:
    """Whether the node is an `if TYPE_CHECKING:`, whose body never runs."""
    tests = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    return isinstance(node, ast.If) and ast.unparse(node.test) in tests


def stray_modules() -> Iterator[tuple[str, Path]]:
    """Each stage with each Python file of its folder that its code does not reach.

    A file that starts with a dot is none: .dvcignore names it.
    """
    pipeline: Any = read_yaml(PIPELINE)
    for stage in pipeline["stages"]:
        for path in sorted(set((STAGES / stage).glob("[!.]*.py")) - reached_files(stage)):
            yield stage, path
