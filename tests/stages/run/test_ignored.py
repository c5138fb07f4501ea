"""Which files of a folder count: exactly those that DVC sees."""

from pathlib import Path

import pytest
from conftest import Project
from dvc.fs import localfs
from dvc.repo import Repo

from stages.run.hashes import md5_of_dep
from stages.run.ignored import list_files, read_ignore_rules

ODD = [
    "stages/train/__pycache__/x.pyc", "stages/train/.x.py", "stages/train/x.py~",
    "stages/train/x.py", "stages/train/sub/x.py", "stages/train/.ipynb_checkpoints/x.py",
    "stages/train/x.part", "stages/train/readme.md", "data/tiny/dataset.yaml",
    "data/tiny/corrections.csv",
    "data/tiny/images/a.png", "data/tiny/images/.DS_Store", "data/tiny/b c.png",
]  # fmt: skip


@pytest.mark.parametrize("dep", ["stages/train", "data/tiny", "data/raw"])
def test_the_same_files_count_as_for_dvc(
    project: Project, monkeypatch: pytest.MonkeyPatch, dep: str
) -> None:
    monkeypatch.chdir(project.folder)
    for name in ODD:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with Repo() as repo:
        of_dvc = sorted(map(Path, repo.dvcignore.find(localfs, str(Path(dep).absolute()))))
    ours = list_files(Path(dep), read_ignore_rules())
    assert [path.absolute() for path in ours] == of_dvc


def test_a_folder_hashes_as_in_dvcs_lock(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    lock = project.read("dvc.lock")
    for dep in ("stages/train", "stages/fetch", "data/tiny", "data/raw"):
        assert f"path: {dep}\n" in lock
        assert md5_of_dep(Path(dep)) in lock


def test_an_absent_dep_has_no_hash(tmp_path: Path) -> None:
    assert md5_of_dep(tmp_path / "absent") == ""
    assert list_files(tmp_path / "absent", read_ignore_rules()) == []
