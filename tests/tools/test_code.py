"""The hash of a code dep: the one that DVC writes into dvc.lock, of a commit and of the files."""

from collections.abc import Callable

import pytest
import yaml
from conftest import Project

from tools.shared.code import hash_code

FOLDER, FILE = "stages/train", "stages/shared/scores.py"


def locked_hash(project: Project, path: str) -> str:
    """What DVC wrote into dvc.lock of a dep of train."""
    deps = yaml.safe_load(project.read("dvc.lock"))["stages"]["train"]["deps"]
    (md5,) = {dep["md5"] for dep in deps if dep["path"] == path}
    return str(md5)


def hash_both(project: Project, path: str) -> set[str]:
    """The hash in HEAD and that of the files as they lie in the project now."""
    return {hash_code(project.git("rev-parse", "HEAD").strip(), path), hash_code(None, path)}


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A finished project of one's own, in which the test works."""
    monkeypatch.chdir(project.folder)
    return project


@pytest.mark.parametrize("path", [FOLDER, FILE])
def test_the_hash_is_dvc_s_own(finished_project: Project, monkeypatch, path: str) -> None:
    monkeypatch.chdir(finished_project.folder)
    assert hash_both(finished_project, path) == {locked_hash(finished_project, path)}


def test_a_path_that_is_not_there_has_none(finished_project: Project, monkeypatch) -> None:
    monkeypatch.chdir(finished_project.folder)
    assert hash_both(finished_project, "stages/nothing") == {""}


def test_what_an_editor_or_python_leaves_is_not_hashed(here: Project) -> None:
    for name in (
        "__pycache__/main.cpython-312.pyc",
        "__pycache__/left.py",
        "fitting.py~",
        ".fitting.py.swp",
        ".fitting.py",
        ".ipynb_checkpoints/fitting-checkpoint.py",
        "notes.txt",
        "inner/module.py",
    ):
        path = here.folder / FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("left behind", encoding="utf-8")
    assert hash_both(here, FOLDER) == {locked_hash(here, FOLDER)}
    assert "up to date" in here.dvc("status", "train")
    here.git("add", "--all", "--force")
    here.git("commit", "--quiet", "--message", "All of it")
    assert hash_both(here, FOLDER) == {locked_hash(here, FOLDER)}


def edit(project: Project) -> None:
    with (project.folder / FOLDER / "fitting.py").open("a", encoding="utf-8") as file:
        file.write("# edited\n")


def add(project: Project) -> None:
    (project.folder / FOLDER / "extra.py").write_text("", encoding="utf-8")


def remove(project: Project) -> None:
    (project.folder / FOLDER / "progress.py").unlink()


def rename(project: Project) -> None:
    folder = project.folder / FOLDER
    (folder / "progress.py").rename(folder / "advance.py")


def keep_other_files(project: Project) -> None:
    """Let DVC look at everything: a hash follows the .dvcignore of its revision."""
    (project.folder / FOLDER / "notes.txt").write_text("about train", encoding="utf-8")
    (project.folder / ".dvcignore").write_text("__pycache__\n", encoding="utf-8")


@pytest.mark.parametrize("change", [edit, add, remove, rename, keep_other_files])
def test_after_a_change_it_is_dvc_s_own_again(
    here: Project, change: Callable[[Project], None]
) -> None:
    before = here.git("rev-parse", "HEAD").strip()
    old = locked_hash(here, FOLDER)
    change(here)
    assert hash_code(None, FOLDER) != old
    here.dvc("commit", "--force", "train")
    assert hash_code(None, FOLDER) == locked_hash(here, FOLDER) != old
    assert hash_code(before, FOLDER) == old
    here.commit("A change")
    assert hash_both(here, FOLDER) == {locked_hash(here, FOLDER)}
