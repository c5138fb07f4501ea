"""Git's merges and torn files: what the user sees, and that the remedy it names works."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Project
from faults import assert_nothing_lost


def remedies(said: str) -> list[str]:
    return re.findall("`([^`]+)`", said)


@pytest.fixture
def merging(edited_project: Project, finished_refit: Project) -> Project:
    """A merge of two branches whose values merge and whose results do not."""
    project = edited_project
    project.commit("More epochs")
    project.git("branch", "theirs")
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    cache = Path(".dvc/cache")  # so that the branch need not run what has run there
    shutil.copytree(finished_refit.folder / cache, project.folder / cache, dirs_exist_ok=True)
    project.dvc("checkout")
    project.edit({"train.refit": True})
    project.dvc("repro")
    project.commit("The validation images are trained on")
    said = project.run("git", "merge", "theirs", code=1)
    assert "Merge conflict in dvc.lock" in said
    return project


@pytest.mark.fault(
    heading="Runs",
    done="A merge of two branches with other results, then `python -m tools.verify`",
    seen="`git checkout --ours dvc.lock reports && dvc repro && git add -A`",
    lost="nothing: the merged values run",
)
def test_a_merge_with_conflicts(merging: Project, seen: str) -> None:
    for tool in ("report", "compare"):
        said = merging.run("python", "-m", f"tools.{tool}", code=None)
        assert "older than these edits: train.epochs" in said
    said = merging.call("tools.verify", code=1)
    assert seen in said
    assert "conflicts in dvc.lock, reports/" in said
    merging.run("bash", "-c", remedies(said)[-1])
    merging.git("commit", "--quiet", "--no-edit")
    assert "All is well" in merging.call("tools.verify")
    assert "up to date" in merging.dvc("status")
    assert "refit: true" in merging.read("params.yaml")
    assert "epochs: 4" in merging.read("params.yaml")


@pytest.mark.fault(
    heading="DVC's own files",
    done="`dvc.lock` full of zeros, as a crash may leave it, then `python -m tools.verify`",
    seen="`git checkout -- dvc.lock` brings back the last commit's",
)
def test_a_dvc_lock_full_of_zeros(project: Project, finished_project: Project, seen: str) -> None:
    path = project.folder / "dvc.lock"
    path.write_bytes(bytes(path.stat().st_size))
    assert_remedy_heals(project, finished_project, seen)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:1000] + bytes(range(256)), id="garbage"),
        pytest.param(lambda content: b"[" + content, id="no mapping"),
        pytest.param(lambda _content: b"stages: 5\n", id="another mapping"),
    ],
)
def test_a_dvc_lock_that_is_not_readable(
    project: Project, finished_project: Project, damage: Callable[[bytes], bytes]
) -> None:
    path = project.folder / "dvc.lock"
    path.write_bytes(damage(path.read_bytes()))
    assert_remedy_heals(project, finished_project, "`git checkout -- dvc.lock` brings back")


def assert_remedy_heals(project: Project, before: Project, seen: str) -> None:
    said = project.call("tools.verify", code=1)
    assert seen in said
    assert "Traceback" not in said
    restore, _, run = remedies(said)
    checked = project.run("python", "-m", "tools.check", code=None)  # what `make` runs first
    assert seen in checked or "stages: 5" in project.read("dvc.lock")
    project.run("bash", "-c", f"{restore} && {run}")
    assert_nothing_lost(project, before)


@pytest.mark.parametrize("content", [b"", bytes(99), b"\xff\xfe"])
def test_a_dvc_lock_that_git_does_not_have(
    project: Project, finished_project: Project, content: bytes
) -> None:
    """`rm` and a run bring it back from DVC's run cache."""
    (project.folder / "dvc.lock").write_bytes(content)
    assert "(`rm dvc.lock` if there is none)" in project.call("tools.verify", code=1)
    project.run("rm", "dvc.lock")
    assert_nothing_lost(project, finished_project)
