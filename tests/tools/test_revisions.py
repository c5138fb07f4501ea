"""What a revision's dvc.lock says: of this layout, and of the flat one that older commits have."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.shared.revisions import read_revision

PROBABILITIES = "reports/probabilities_validation.npy"
CLASSES = ["left", "right"]
FILES = {"train_images": {"size": 3}}
VALUES = {"dataset": "tiny", "seed": 0, "train": {"epochs": 2}}
CODE = "# train\n"


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def made(path: str) -> dict[str, str]:
    return {"path": path, "hash": "md5", "md5": md5(path)}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@localhost")
    subprocess.run(["git", "init", "--quiet"], check=True)
    return tmp_path


def commit(files: dict[str, object]) -> None:
    """Commit files, by path: text, or values to be written as YAML."""
    for path, content in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        Path(path).write_text(text, encoding="utf-8")
    subprocess.run(["git", "add", "--all"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "-"], check=True)


def lock(code: dict[str, str], dataset: dict[str, Any]) -> dict[str, Any]:
    """A dvc.lock of the code's deps by their MD5, and of the params of a data set by their file."""
    deps = [{"path": path, "hash": "md5", "md5": digest} for path, digest in code.items()]
    fetch = {"deps": [], "params": {"params.yaml": {"dataset": "tiny"}, **dataset}}
    train = {
        "deps": [made("data/raw"), *deps],
        "params": {"params.yaml": {"seed": 0, "train": {"epochs": 2}}},
    }
    stages = {
        "fetch": fetch | {"outs": [made("data/raw")]},
        "train": train | {"outs": [made(PROBABILITIES)]},
    }
    return {"schema": "2.0", "stages": stages}


def commit_flat() -> None:
    dataset = {"data/catalog.yaml": {"tiny.classes": CLASSES, "tiny.files": FILES}}
    commit(
        {
            "params.yaml": VALUES,
            "data/catalog.yaml": {"tiny": {"classes": CLASSES, "files": FILES}},
            "stages/train.py": CODE,
            "reports/validation.json": json.dumps({"accuracy": 0.5, "parameters": 7}),
            "dvc.lock": lock({"stages/train.py": md5(CODE)}, dataset),
        }
    )


def commit_folders() -> None:
    listed = md5(json.dumps([{"md5": md5(CODE), "relpath": "main.py"}]))
    dataset = {"data/tiny/dataset.yaml": {"classes": CLASSES, "files": FILES}}
    commit(
        {
            "params.yaml": VALUES,
            "data/tiny/dataset.yaml": {"classes": CLASSES, "files": FILES},
            "stages/train/main.py": CODE,
            "reports/validation.json": json.dumps({"accuracy": 0.5, "parameters": 7}),
            "dvc.lock": lock({"stages/train": f"{listed}.dir"}, dataset),
        }
    )


@pytest.mark.parametrize("make", [commit_flat, commit_folders])
def test_both_layouts_say_the_same_of_params_and_data(repository: Path, make) -> None:
    make()
    revision = read_revision("HEAD", PROBABILITIES)
    assert revision.params == {
        "dataset": "tiny",
        "dataset.yaml:classes": CLASSES,
        "dataset.yaml:files.train_images.size": 3,
        "seed": 0,
        "train.epochs": 2,
    }
    assert revision.classes == CLASSES
    assert revision.made == {path: md5(path) for path in ("data/raw", PROBABILITIES)}
    assert revision.weights == 7
    assert revision.stale == []


@pytest.mark.parametrize(
    ("make", "file", "dep"),
    [
        (commit_flat, "stages/train.py", "stages/train.py"),
        (commit_folders, "stages/train/main.py", "stages/train"),
        (commit_folders, "stages/train/added.py", "stages/train"),
    ],
)
def test_code_that_was_edited_since_is_stale(repository: Path, make, file: str, dep: str) -> None:
    make()
    before = read_revision("HEAD", PROBABILITIES).code
    commit({file: "# edited\n"})
    after = read_revision("HEAD", PROBABILITIES)
    assert (after.stale, after.code) == ([dep], before)
    assert read_revision("HEAD~1", PROBABILITIES).stale == []


@pytest.mark.parametrize(
    ("make", "path", "content"),
    [
        (commit_flat, "data/catalog.yaml", {"tiny": {"classes": ["a", "b"], "files": FILES}}),
        (commit_folders, "data/tiny/dataset.yaml", {"classes": ["a", "b"], "files": FILES}),
    ],
)
def test_classes_that_were_edited_since_are_stale(repository: Path, make, path, content) -> None:
    make()
    commit({path: content})
    revision = read_revision("HEAD", PROBABILITIES)
    assert revision.stale == ["dataset.yaml:classes"]
    assert revision.classes == CLASSES
