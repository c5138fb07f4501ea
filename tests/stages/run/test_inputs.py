"""A stage's inputs before and after: each kind of edit is named, and only an edit is."""

import os
from pathlib import Path

import pytest
from conftest import Project

from stages.run.inputs import fingerprint, read_inputs, refuse_changes
from stages.shared.errors import UserError


@pytest.fixture
def folder(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project.folder)
    return project.folder


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def test_what_did_not_change_is_accepted(folder: Path) -> None:
    before = read_inputs("train")
    code = folder / "stages/train/batches.py"
    code.write_bytes(code.read_bytes())  # saved anew, as it was
    append(folder / "stages/plots/figures.py", b"# of another stage\n")
    refuse_changes(before, read_inputs("train"))


@pytest.mark.parametrize(
    ("path", "content"),
    [("stages/train/batches.py", b"# edited\n"), ("data/processed/x_train.npy", b"\0")],
)
def test_edited_code_and_data_are_named(folder: Path, path: str, content: bytes) -> None:
    before = read_inputs("train")
    append(folder / path, content)
    with pytest.raises(UserError, match=f"changed while this ran: {path}\\."):
        refuse_changes(before, read_inputs("train"))


def test_a_missing_input_is_named(folder: Path) -> None:
    before = read_inputs("preprocess")
    (folder / "data/raw/test_labels.idx").unlink()
    with pytest.raises(UserError, match=r"changed while this ran: data/raw/test_labels\.idx\."):
        refuse_changes(before, read_inputs("preprocess"))


def test_an_edited_value_is_named_by_its_key(project: Project, folder: Path) -> None:
    before = read_inputs("train")
    project.edit({"train.epochs": 7, "model.mlp.units": [5, 5], "plots.resolution": 99})
    with pytest.raises(UserError, match=r"ran: model\.mlp\.units, train\.epochs\."):
        refuse_changes(before, read_inputs("train"))


def test_a_fingerprint_is_of_content_not_of_times(folder: Path) -> None:
    before = fingerprint(read_inputs("train"), {})
    array = folder / "data/processed/x_train.npy"
    os.utime(array, (1, 1))
    assert fingerprint(read_inputs("train"), {}) == before
    append(array, b"\0")
    assert fingerprint(read_inputs("train"), {}) != before


def test_a_fingerprint_is_of_the_environment_too(folder: Path) -> None:
    inputs = read_inputs("train")
    assert fingerprint(inputs, {"ONEDNN_MAX_CPU_ISA": "AVX2"}) != fingerprint(inputs, {})
