"""Results say what they were made from: a dvc.lock that vouches for others is found out."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import Project


def commit_without_running(project: Project, how: str) -> None:
    """What DVC offers to take the present values for those that the outputs came from."""
    if how == "dvc exp save":
        project.dvc("exp", "save", "--name", "saved")
    else:
        project.dvc("commit", "--force")
    assert "up to date" in project.dvc("status")


@pytest.mark.parametrize("how", ["dvc exp save", "dvc commit --force"])
@pytest.mark.parametrize(
    ("key", "value", "seen"),
    [
        ("train.learning_rate", 0.5, "train.learning_rate: 0.001 when it was made, 0.5"),
        ("seed", 3, "seed: 0 when it was made, 3"),
        ("model.mlp.units", [9, 4], "model.mlp.units: [8, 4] when it was made, [9, 4]"),
    ],
)
def test_a_value_that_was_never_run_is_found_out(
    project: Project, how: str, key: str, value: object, seen: str
) -> None:
    project.edit({key: value})
    commit_without_running(project, how)
    said = f"reports/validation.json was not made from what dvc.lock says:\n  {seen} in dvc.lock\n"
    verified = project.call("tools.verify", code=1)
    assert said in verified
    assert "`dvc repro --force train`" in verified
    for tool in (("tools.compare",), ("tools.report",), ("tools.report", "--card")):
        refused = project.call(*tool, code=1)
        assert said in refused
        assert "Traceback" not in refused


def test_the_next_stage_refuses_such_a_result(project: Project) -> None:
    project.edit({"train.epochs": 3})
    project.dvc("commit", "--force")
    refused = project.dvc("repro", "--force", "--single-item", "evaluate", code=255)
    assert "evaluate: reports/validation.json was not made from the present inputs" in refused
    assert "train.epochs: 1 when it was made, 3 now" in refused


def test_corrections_that_were_never_applied_are_found_out(project: Project) -> None:
    corrections = project.folder / "data/tiny/corrections.csv"
    corrections.write_text("image,old,new,reason\n", encoding="utf-8")
    refused = project.call("tools.compare", code=1)
    assert "are older than these edits: data/tiny/corrections.csv" in refused
    project.dvc("commit", "--force")
    said = "reports/data.json was not made from what dvc.lock says:\n  data/tiny/corrections.csv: "
    verified = project.call("tools.verify", code=1)
    assert said in verified
    assert "`dvc repro --force preprocess`" in verified
    assert said in project.call("tools.compare", code=1)
    refused = project.dvc("repro", "--force", "--single-item", "train", code=255)
    assert "train: reports/data.json was not made from the present inputs" in refused


def test_no_record_reads_a_folder_of_data(project: Project) -> None:
    """A later stage would hash data/raw again, which may be many gigabytes."""
    made = json.loads(project.read("reports/data.json"))["made_from"]
    assert not any("data/raw" in line for line in made)
    assert any(line.startswith("data data/tiny/corrections.csv = ") for line in made)
    assert any(line.startswith("code stages/preprocess = ") for line in made)
    shutil.rmtree(project.folder / "data/raw")
    project.dvc("repro", "--force", "--single-item", "evaluate")


def test_other_data_is_found_out(project: Project) -> None:
    project.edit({"preprocess.split": "stratified"})
    project.dvc("repro", "preprocess")
    project.dvc("commit", "--force", "train", "evaluate")
    verified = project.call("tools.verify", code=1)
    assert "data/processed/x_train.npy: " in verified


def test_forcing_the_stage_heals_the_run_cache(project: Project) -> None:
    project.edit({"train.epochs": 3})
    project.dvc("commit", "--force")
    project.dvc("repro", "--force", "train")
    project.dvc("repro", "evaluate")
    project.call("tools.verify")
    healed = (project.folder / "reports/history.csv").read_text(encoding="utf-8")
    assert len(healed.splitlines()) == 4
    project.git("checkout", "--quiet", "--", ".")
    project.dvc("checkout")
    project.edit({"train.epochs": 3})
    project.dvc("repro", "evaluate")
    assert (project.folder / "reports/history.csv").read_text(encoding="utf-8") == healed


def test_other_code_alone_is_said_and_no_fault(project: Project) -> None:
    """`dvc commit --force` after a refactoring stays possible."""
    with (project.folder / "stages/train/history.py").open("a", encoding="utf-8") as file:
        file.write("# a comment\n")
    project.dvc("commit", "--force", "train")
    verified = project.call("tools.verify")
    assert "note: reports/validation.json: stages/train: " in verified
    assert "when it was made" in verified
    project.call("tools.compare")


def test_the_record_is_no_column_of_dvc(project: Project) -> None:
    for name in ("data", "validation", "test"):
        metrics = json.loads((project.folder / f"reports/{name}.json").read_text("utf-8"))
        assert metrics["made_from"]
    shown = project.dvc("metrics", "show")
    assert "constant_images" in shown
    assert "made_from" not in shown
    assert "class" not in shown


def test_results_of_before_there_were_records_are_taken_as_they_are(project: Project) -> None:
    for name in ("data", "validation", "test"):
        path = project.folder / f"reports/{name}.json"
        metrics = json.loads(path.read_text("utf-8"))
        del metrics["made_from"]
        path.write_text(json.dumps(metrics), encoding="utf-8")
    project.dvc("commit", "--force")
    project.call("tools.verify")
    project.call("tools.compare", "workspace", "workspace")


def test_a_setting_of_the_environment_enters_the_record(
    fresh_project: Project, tmp_path: Path
) -> None:
    project = fresh_project.copy(tmp_path / "clone")
    project.environment = project.environment | {"TF_ENABLE_ONEDNN_OPTS": "0"}
    project.dvc("repro", "train")
    metrics = json.loads(project.read("reports/validation.json"))
    assert "environment TF_ENABLE_ONEDNN_OPTS = 0" in metrics["made_from"]
