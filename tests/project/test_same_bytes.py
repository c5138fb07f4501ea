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


def locked(project: Project) -> dict[str, object]:
    """What dvc.lock has of the stages before the figures, which none of the options reaches."""
    stages: dict[str, object] = yaml.safe_load(project.read("dvc.lock"))["stages"]
    return {name: stage for name, stage in stages.items() if name != "plots"}


def results(project: Project) -> dict[str, bytes]:
    """Every file that the stages before the figures make, by its path."""
    found = outputs(project).items()
    return {
        path: content for path, content in found if path != "dvc.lock" and "figures" not in path
    }


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
    assert locked(clone) == locked(finished_cnn)
    assert results(clone) == results(finished_cnn)


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
    command = ("dvc", "repro", "evaluate")
    with started(clone, *command) as run, started(edited, *command) as other_run:
        assert "Updating lock file" in run.ended()
        assert "Updating lock file" in other_run.ended()
    assert (run.process.returncode, other_run.process.returncode) == (0, 0)
    assert locked(clone) == locked(edited)
    assert results(clone) == results(edited)
