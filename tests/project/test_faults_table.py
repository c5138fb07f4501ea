"""The tables of docs/reliability.md are those that the other tests of faults make."""

import subprocess
import sys

from faults import HEADINGS, ROOT, Fault, table


def test_the_document_is_up_to_date() -> None:
    command = [sys.executable, "-m", "tests.faults", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_row_stands_under_its_heading_and_cannot_break_the_table() -> None:
    page = table([Fault("Runs", "`a` killed", "run `make` | or not"), Fault("Disk", "full", "No")])
    assert "| `a` killed | `` run `make` \\| or not `` | nothing |" in page
    assert page.index("### Runs") < page.index("killed") < page.index("### Disk")
    assert [line[4:] for line in page.splitlines() if line.startswith("###")] == HEADINGS
