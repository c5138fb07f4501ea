"""tools.verify beside what the tests of faults try: versions, and damage in the workspace."""

from pathlib import Path

import pytest
from conftest import Project

from tools import verify


def test_each_wrong_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        "numpy==0.0.1 \\\n    --hash=sha256:00\n"
        "no-such-package==1.0 \\\n    --hash=sha256:00\n"
        "elsewhere==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(verify, "REQUIREMENTS", requirements)
    numpy, absent = verify.wrong_versions()
    assert numpy.startswith("numpy: expected ==0.0.1, found ")
    assert absent == "no-such-package: expected ==1.0, found none: `make`"


def test_this_environment_is_as_locked() -> None:
    assert list(verify.wrong_versions()) == []


@pytest.mark.parametrize("path", ["models/model.keras", "data/raw/train_labels.idx"])
def test_a_damaged_output_is_named_with_its_cure(project: Project, path: str) -> None:
    damage(project.folder / path)
    output = project.call("tools.verify", code=1)
    cure = f"`dvc checkout --force {path}`"
    assert output.splitlines()[0].startswith(f"{path}: not what dvc.lock says: {cure}")
    assert output.splitlines()[1:] == ["1 problem found"]
    project.dvc("checkout", "--force", path)
    assert project.call("tools.verify")


@pytest.mark.parametrize("path", ["reports/test.json", "reports/history.csv"])
def test_damaged_scores_come_back_from_git_for_dvc_has_no_copy(project: Project, path: str) -> None:
    damage(project.folder / path)
    output = project.call("tools.verify", code=1)
    assert f"{path}: not what dvc.lock says: `dvc repro " in output
    assert f"`git checkout -- {path}` brings back the last commit's" in output
    project.git("checkout", "--", path)
    assert project.call("tools.verify")


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("text", ["", "stages:\n  fetch:\n    outs: []\n"])
def test_an_incomplete_lock_is_named(project: Project, tmp_path: Path, text: str) -> None:
    (project.folder / "dvc.lock").write_text(text, encoding="utf-8")
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    for tool in ("tools.verify", "tools.remote"):
        output = project.call(tool, code=1)
        assert "dvc.lock is missing, damaged or incomplete" in output
        assert "Traceback" not in output


def test_a_missing_output_is_named(project: Project) -> None:
    (project.folder / "models/model.keras").unlink()
    output = project.call("tools.verify", code=1)
    assert "models/model.keras: missing from the workspace: `dvc checkout`" in output


def test_a_python_file_that_no_import_reaches_is_named(project: Project) -> None:
    for name in ("draft.py", ".hidden.py", "main.py~"):
        (project.folder / "stages/train" / name).write_text("", encoding="utf-8")
    (project.folder / "stages/plots/__pycache__").mkdir(exist_ok=True)
    (project.folder / "stages/plots/__pycache__/left.py").write_text("", encoding="utf-8")
    output = project.call("tools.verify", code=1)
    named, *notes, count = output.splitlines()
    assert count == "1 problem found"
    assert all(note.startswith("note: ") for note in notes)
    assert named == (
        "stages/train/draft.py: no import of train reaches it, yet it makes the stage run again "
        "and its hash goes into dvc.lock: move it out of the folder"
    )


def test_code_that_is_no_python_is_named(project: Project) -> None:
    with (project.folder / "stages/train/fitting.py").open("a", encoding="utf-8") as file:
        file.write("\n<<<<<<< HEAD\n")
    output = project.call("tools.verify", code=1)
    assert "stages/train/fitting.py, line " in output
    assert "not readable as Python: invalid syntax" in output
