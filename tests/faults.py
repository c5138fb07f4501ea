"""What the tests of faults share, and the table of docs/reliability.md that their marks make.

python -m tests.faults writes it: a row for each mark `fault`, with the very text that its test
looks for in what the user sees. `--check` only says whether the document is up to date.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tools.shared.marks import replace_between_marks

if TYPE_CHECKING:
    from conftest import Project

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs/reliability.md"
HEADINGS = [
    "Set-up", "Downloads", "Data files", "Names", "Runs", "Disk", "DVC's own files", "Safety",
]  # fmt: skip
MADE = ("dvc.lock", "data/raw", "data/processed", "models", "reports")
PATIENCE = 120.0  # seconds; a busy machine is no defect


class Fault(NamedTuple):
    """A row: under which heading, what was done, a part of what the user saw, what was lost."""

    heading: str
    done: str
    seen: str
    lost: str = "nothing"

    def __str__(self) -> str:
        seen = self.seen.replace("|", "\\|")
        code = f"`` {seen} ``" if "`" in seen else f"`{seen}`"
        return f"| {self.done} | {code} | {self.lost} |"


# What a test does


def outputs(project: "Project") -> dict[str, bytes]:
    """Every file that a run makes, by its path."""
    files = [
        file
        for place in MADE
        for file in [project.folder / place, *(project.folder / place).rglob("*")]
        if file.is_file()
    ]
    return {str(file.relative_to(project.folder)): file.read_bytes() for file in files}


def assert_nothing_lost(project: "Project", before: "Project") -> None:
    """With its committed files back, a `dvc repro` gives what there was before, without training.

    What was not damaged comes from DVC's run cache, so this also says that the cache is whole.
    """
    project.git("checkout", "--quiet", "--", "params.yaml", "data", "stages")
    output = project.dvc("repro")
    assert "Running stage 'train'" not in output
    assert outputs(project) == outputs(before)
    assert project.git("status", "--porcelain") == ""


class Started:
    """A command under way in a process group of its own, as a terminal starts it."""

    def __init__(self, project: "Project", *command: str) -> None:
        self.log = project.folder.parent / f"log of {project.folder.name}"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                command, cwd=project.folder, stdout=file, stderr=file, start_new_session=True,
                env=project.environment | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, holds: str | Callable[[], object], every: float = 0.002) -> None:
        """Wait until that has been printed, or is true; look `every` so many seconds."""
        end = time.monotonic() + PATIENCE
        while not (holds in self.output() if isinstance(holds, str) else holds()):
            assert self.process.poll() is None, f"ended too early:\n{self.output()}"
            assert time.monotonic() < end, f"waited in vain:\n{self.output()}"
            time.sleep(every)

    def send(self, number: signal.Signals) -> str:
        """Signal it and all that it started, as Ctrl-C does; what it had printed when it ended."""
        os.killpg(self.process.pid, number)
        return self.ended()

    def ended(self) -> str:
        self.process.wait(PATIENCE)
        return self.output()


@contextmanager
def started(project: "Project", *command: str) -> Iterator[Started]:
    """A command under way; whatever happens, nothing of it is left afterwards."""
    run = Started(project, *command)
    try:
        yield run
    finally:
        with suppress(ProcessLookupError):  # all of it has ended
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()


# The table


class Collector:
    """Of pytest: remembers the rows of the tests that it finds, in their order."""

    def __init__(self) -> None:
        self.rows: list[Fault] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            mark = item.get_closest_marker("fault")
            if mark:
                assert "seen" in item.fixturenames, f"{item.nodeid} never looks for what is seen"
                self.rows.append(Fault(**mark.kwargs))


def collected() -> list[Fault]:
    """The rows of all tests."""
    collector = Collector()
    modules = sorted(map(str, (ROOT / "tests/project").glob("test_faults_*.py")))
    code = pytest.main(["--collect-only", "-qqq", "--no-summary", *modules], [collector])
    if code != pytest.ExitCode.OK:
        sys.exit(int(code))
    return collector.rows


def table(rows: list[Fault]) -> str:
    """The rows as Markdown, a table a heading."""
    parts = []
    for heading in HEADINGS:
        lines = [str(row) for row in rows if row.heading == heading]
        head = ["| What was done | What you see | Lost |", "|---|---|---|"]
        parts.append("\n".join([f"### {heading}\n", *head, *lines]))
    return "\n\n".join(parts)


def main() -> None:
    old = DOCUMENT.read_text(encoding="utf-8")
    new = replace_between_marks(old, "faults", table(collected()))
    if "--check" not in sys.argv:
        DOCUMENT.write_text(new, encoding="utf-8")
    elif new != old:
        sys.exit(f"{DOCUMENT.name} is not what the tests say: `python -m tests.faults` writes it")


if __name__ == "__main__":
    main()
