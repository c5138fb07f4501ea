"""Two clones, each with a folder, a cache and a home of its own, give the same dvc.lock.

One is fresh; the other was edited and has run before, so that it runs less.
"""

from pathlib import Path

import pytest
import yaml
from conftest import FINISHED_CNN, FINISHED_EDIT, ROOT, Project, project_environment
from faults import outputs, started

# What a training can be made of: each option that could draw by chance or keep a state. Each one
# is in these, in FINISHED_CNN or as it is in FINISHED_EDIT.
OPTIONS: dict[str, dict[str, object]] = {
    "mlp without dropout": {"model.mlp.dropout": [0.0, 0.0]},
    "ensemble, batch normalisation, schedule, bfloat16": {
        "model.mlp.batch_normalization": True,
        "train.members": 2,
        "train.schedule": "cosine",
        "train.warmup": 1,
        "train.precision": "mixed_bfloat16",
        "train.threads": 1,
        "train.keep": "best",
        "train.patience": 2,
    },
}
EDITS = [FINISHED_EDIT, FINISHED_CNN, *OPTIONS.values()]
# Of a network that a user adds, too.
NETWORKS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["model"]
TRIED = {"name", *(values.get("model.name", "mlp") for values in EDITS)}
OPTIONS |= {name: {"model.name": name} for name in NETWORKS if name not in TRIED}


def fresh_clone(project: Project, folder: Path, tiny_folder: Path) -> Project:
    clone = Project(folder / "a clone", project_environment(folder / "home", tiny_folder))
    project.git("clone", "--quiet", ".", str(clone.folder))
    return clone


def assert_same_bytes(clone: Project, other: Project) -> None:
    """Of the stages that ran in the clone; in the other one all of them have."""
    stages, of_other = (yaml.safe_load(p.read("dvc.lock"))["stages"] for p in (clone, other))
    assert stages == {stage: of_other[stage] for stage in stages}
    made = {out["path"] for stage in stages.values() for out in stage["outs"]}
    assert {"data/raw", "data/processed/x_test.npy", "models/model.keras"} <= made
    files, others = outputs(clone), outputs(other)
    names = [name for name in files if name in made or name.startswith("data/raw/")]
    assert len(names) >= len(made)
    assert [name for name in names if files[name] != others[name]] == []


def test_every_option_of_the_training_is_among_them() -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tried = {key for options in EDITS for key in options}
    assert {f"train.{key}" for key in values["train"]} - tried == {"train.batch_size"}


def test_a_clone_gives_the_bytes_of_a_project_that_was_edited(
    fresh_project: Project, finished_edit: Project, tmp_path: Path, tiny_folder: Path
) -> None:
    clone = fresh_clone(fresh_project, tmp_path / "a longer way", tiny_folder)
    clone.edit(FINISHED_EDIT)
    clone.dvc("repro")
    assert clone.read("dvc.lock") == finished_edit.read("dvc.lock")
    assert outputs(clone) == outputs(finished_edit)


def test_a_clone_gives_the_bytes_of_another_network(
    fresh_project: Project, finished_cnn: Project, tmp_path: Path, tiny_folder: Path
) -> None:
    clone = fresh_clone(fresh_project, tmp_path / "a longer way", tiny_folder)
    clone.edit(FINISHED_CNN)
    clone.dvc("repro", "evaluate")
    assert_same_bytes(clone, finished_cnn)


@pytest.mark.parametrize("values", OPTIONS.values(), ids=OPTIONS)
def test_a_clone_gives_the_bytes_of_other_options(
    fresh_project: Project,
    finished_project: Project,
    tmp_path: Path,
    tiny_folder: Path,
    values: dict[str, object],
) -> None:
    clone = fresh_clone(fresh_project, tmp_path / "a longer way", tiny_folder)
    edited = finished_project.copy(tmp_path / "edited")
    for one in (clone, edited):
        one.edit(values | {"train.epochs": 3})
    command = ("dvc", "repro", "train" if "model.mlp.dropout" in values else "evaluate")
    with started(clone, *command) as run, started(edited, *command) as other_run:
        assert "Updating lock file" in run.ended()
        assert "Updating lock file" in other_run.ended()
    assert (run.process.returncode, other_run.process.returncode) == (0, 0)
    assert_same_bytes(clone, edited)
