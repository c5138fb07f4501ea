"""Commands within the tests' own process: as a user's, but for the half second of a start."""

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from unittest import mock


class Place:
    """A folder and an environment that commands run in."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def run(self, main: Callable[[], object], *words: str, errors: bool = True) -> tuple[int, str]:
        """The exit code of a program's main, and what it and its children print.

        Without `errors` that is the standard output alone.
        """
        with (
            tempfile.TemporaryFile() as printed,
            tempfile.TemporaryFile() as said,
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(sys, "argv", list(words)),
        ):
            with redirected("stdout", printed), redirected("stderr", printed if errors else said):
                code = exit_code(main)
            printed.seek(0)
            return code, printed.read().decode(errors="replace")


@contextlib.contextmanager
def redirected(name: str, file: IO[bytes]) -> Iterator[None]:
    """Let sys.stdout or sys.stderr, and the children's, go into the file."""
    number = {"stdout": 1, "stderr": 2}[name]
    before = os.dup(number)
    os.dup2(file.fileno(), number)
    raw = os.fdopen(os.dup(file.fileno()), "wb", buffering=0)
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    try:
        with mock.patch.object(sys, name, stream), stream:
            yield
    finally:
        os.dup2(before, number)
        os.close(before)


def exit_code(main: Callable[[], object]) -> int:
    """What a process that runs this main ends with."""
    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    return 0


def main_of(module: str) -> Callable[[], object]:
    """What `python -m MODULE` calls."""
    spec: Any = importlib.util.find_spec(module)
    is_package = spec.submodule_search_locations is not None
    main: Callable[[], object] = importlib.import_module(
        f"{module}.__main__" if is_package else module
    ).main
    return main


def dvc_main(arguments: tuple[str, ...]) -> Callable[[], object]:
    """What `dvc ARGUMENTS` calls."""
    import dvc.cli  # noqa: PLC0415  # it takes longer than many a test
    import dvc.logger  # noqa: PLC0415

    def main() -> None:
        with warnings.catch_warnings(), contextlib.ExitStack() as stack:
            warnings.simplefilter("ignore")
            for name in ("dvc", "dvc_data", "dvc_objects"):
                logger = logging.getLogger(name)
                stack.enter_context(mock.patch.object(logger, "handlers", []))
            dvc.logger.setup()  # handlers that print to what is sys.stdout now
            sys.exit(dvc.cli.main(list(arguments)))

    return main
