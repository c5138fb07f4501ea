"""What the audit refuses: corrections that contradict, or fit no image."""

from functools import partial

import pytest
from conftest import Project

fault = partial(pytest.mark.fault, heading="Data files")


def apply(project: Project, *, old_hash: str = "", new: str) -> str:
    """Apply the project's own first correction with another hash or label."""
    header, first = project.read("data/tiny/corrections.csv").splitlines()[:2]
    image, old, _, reason = first.split(",")
    text = f"{header}\n{old_hash or image},{old},{new},{reason}\n"
    (project.folder / "mine.csv").write_text(text, encoding="utf-8")
    before = project.read("data/tiny/corrections.csv")
    output = project.call("tools.audit", "--apply", "mine.csv", code=1)
    assert project.read("data/tiny/corrections.csv") == before
    assert "Traceback" not in output
    return output


@fault(
    done="`python -m tools.audit --apply` with a correction that another one contradicts",
    seen="mine.csv contradicts corrections that are there already, so nothing was written",
)
def test_a_correction_that_contradicts_another(project: Project, seen: str):
    assert seen in apply(project, new="middle")


@fault(
    done="`python -m tools.audit --apply` with corrections of another data set",
    seen="mine.csv has 1 problem",
)
def test_a_correction_of_another_data_set(project: Project, seen: str):
    output = apply(project, old_hash="0" * 64, new="")
    assert seen in output
    assert "no image has this hash" in output
