"""tools.export: what the folder holds, that it works alone, and what is not overwritten."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from classifiers import IMAGES, png, write_classifier
from conftest import ROOT, Project
from packages import link_packages

from stages.run.hashes import md5_of_file
from stages.shared.errors import UserError
from tools import export

MODEL_FILES = ("model.onnx", "model.json")
MADE = {"models/classifier/model.onnx": "0" * 32}


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An export of the tiny classifier, from a folder that has the project's code and no more."""
    for name in ("requirements", "serving", "stages", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    write_classifier(tmp_path / "models/classifier")
    subprocess.run(["git", "init", "--quiet", "--template=", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "write_card", lambda made: f"# A card of {len(made)} results")
    export.write_export(tmp_path / "export", MADE)
    return tmp_path / "export"


def predict(
    folder: Path, *words: object, packages: dict[str, str]
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-S", folder / "predict.py", *words]
    return subprocess.run(
        command, cwd=folder.parent, env=packages, capture_output=True, text=True, check=False
    )


def test_an_export_has_the_model_byte_for_byte_and_what_belongs_to_it(exported: Path) -> None:
    for name in MODEL_FILES:
        ours = (ROOT / exported.parent / "models/classifier" / name).read_bytes()
        assert (exported / name).read_bytes() == ours
    assert (exported / "model_card.md").read_text(encoding="utf-8") == "# A card of 1 results\n"
    assert (exported / "page/index.html").is_file()
    lines = (exported / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert {line.partition("==")[0] for line in lines} == {"numpy", "onnxruntime", "pillow"}
    locked = (ROOT / "requirements/pipeline.txt").read_text(encoding="utf-8")
    assert all(f"{line} \\\n" in locked for line in lines)


def test_the_record_has_the_commit_and_every_file(exported: Path) -> None:
    record = json.loads((exported / "export.json").read_text(encoding="utf-8"))
    files = {path.relative_to(exported) for path in exported.rglob("*") if path.is_file()}
    assert record["made_from"] == MADE
    assert record.keys() == {"commit", "edited_since", "made_from", "files"}
    assert {Path(name) for name in record["files"]} == files - {Path("export.json")}
    for name, md5 in record["files"].items():
        assert md5_of_file(exported / name) == md5


def test_predict_works_alone(exported: Path, tmp_path: Path) -> None:
    """With three packages, out of reach of the project, from another folder."""
    alone = tmp_path / "elsewhere" / "export"
    alone.parent.mkdir()
    exported.rename(alone)
    packages = link_packages(tmp_path / "packages", alone / "requirements.txt")
    (alone.parent / "a.png").write_bytes(png(IMAGES[0]))
    done = predict(alone, "a.png", packages=packages)
    assert (done.stdout, done.stderr) == ("a.png: left (0.998), then middle (0.001)\n", "")
    assert "--threshold" in predict(alone, "--help", packages=packages).stdout


def test_predict_has_the_files_that_it_imports_and_no_others(
    exported: Path, tmp_path: Path
) -> None:
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:];"
        "runpy.run_path(sys.argv[0], run_name='__main__');"
        "print(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)),"
        "sep='\\n')"
    )
    image = tmp_path / "a.png"
    image.write_bytes(png(IMAGES[0]))
    done = subprocess.run(
        [sys.executable, "-c", code, exported / "predict.py", image],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    program = exported / "program"
    loaded = {line for line in done.stdout.splitlines() if line.startswith(str(program))}
    assert loaded == {str(program / name) for name in export.PROGRAM}


def test_predict_without_its_packages_says_what_to_install(exported: Path, tmp_path: Path) -> None:
    done = predict(exported, "a.png", packages={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert "lacks the package 'onnxruntime': python -m pip install --requirement" in done.stderr


# What is there already


def test_only_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    for path in (tmp_path / "new", tmp_path):
        export.refuse_foreign(path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(UserError, match="theirs: expected a new or empty folder"):
        export.refuse_foreign(tmp_path / "theirs")
    for name in ("file", "link"):
        path = tmp_path / name
        path.symlink_to(tmp_path) if name == "link" else path.write_text("", encoding="utf-8")
        with pytest.raises(UserError, match=f"{name}: expected a folder or nothing there"):
            export.refuse_foreign(path)
    (tmp_path / "theirs/export.json").write_text("{}", encoding="utf-8")
    export.refuse_foreign(tmp_path / "theirs")


def test_the_export_before_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    folder, whole, before = (tmp_path / name for name in ("export", "whole", "before"))
    for path in (folder, whole):
        path.mkdir()
        (path / path.name).write_text("", encoding="utf-8")
    export.replace_folder(folder, whole, before)
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert [path.name for path in before.iterdir()] == ["export"]
    with pytest.raises(OSError, match="whole"):  # gone now: the old one comes back
        export.replace_folder(folder, whole, tmp_path / "another")
    assert [path.name for path in folder.iterdir()] == ["whole"]


# In a whole project


def test_an_export_of_a_finished_project(project: Project) -> None:
    for _ in range(2):  # the second replaces the first
        output = project.call("tools.export", "a folder/export")
        assert "wrote a folder/export: `python a folder/export/predict.py IMAGE`" in output
    folder = project.folder / "a folder"
    assert [path.name for path in folder.iterdir()] == ["export"]
    for name in MODEL_FILES:
        ours = (project.folder / "models/classifier" / name).read_bytes()
        assert (folder / "export" / name).read_bytes() == ours
    record = json.loads((folder / "export/export.json").read_text(encoding="utf-8"))
    assert record["commit"] == project.git("rev-parse", "HEAD").strip()
    assert record["made_from"]["models/classifier/model.onnx"] == record["files"]["model.onnx"]
    card = (folder / "export/model_card.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", card)
    assert pictures
    assert all((folder / "export" / name).is_file() for name in pictures)


def test_a_damaged_model_is_not_exported(project: Project) -> None:
    path = project.folder / "models/classifier/model.json"
    path.chmod(0o644)
    path.write_text("{}", encoding="utf-8")
    output = project.call("tools.export", "export", code=1)
    assert "models/classifier/model.json: not what dvc.lock says" in output
    assert not (project.folder / "export").exists()
