"""Two fresh clones, each with a folder, a cache and a home of its own, give the same dvc.lock."""

from pathlib import Path

import pytest
import yaml
from conftest import FINISHED_EDIT, ROOT, Project, project_environment
from faults import outputs, started

# What a training can be made of: each option that could draw by chance or keep a state.
OPTIONS: dict[str, dict[str, object]] = {
    "mlp without dropout": {"model.mlp.dropout": [0.0, 0.0]},
    "cnn, augmentation, label smoothing, refit": {
        "model.name": "cnn",
        "train.augmentation": {
            "rotation": 10, "translation": 1, "zoom": 0.1, "shear": 0.1, "elastic": 0.5,
            "flip": True,
        },
        "train.label_smoothing": 0.1,
        "train.refit": True,
    },
    "ensemble, batch normalisation, schedule, bfloat16": {
        "model.mlp.batch_normalization": True,
        "train.members": 2,
        "train.schedule": "cosine",
        "train.warmup": 1,
        "train.precision": "mixed_bfloat16",
        "train.threads": 1,
    },
}  # fmt: skip


NETWORKS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["model"]
TRIED = {options.get("model.name", "mlp") for options in OPTIONS.values()}
OPTIONS |= {name: {"model.name": name} for name in NETWORKS if name not in {"name", *TRIED}}


def fresh_clone(project: Project, folder: Path, tiny_folder: Path) -> Project:
    clone = Project(folder / "a clone", project_environment(folder / "home", tiny_folder))
    project.git("clone", "--quiet", ".", str(clone.folder))
    return clone


def test_every_option_of_the_training_is_among_them() -> None:
    """Beside those that the shipped parameters have, of which the other test is."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    tried = {key for options in OPTIONS.values() for key in options}
    assert {f"train.{key}" for key in values["train"]} - tried == {
        "train.epochs", "train.batch_size", "train.learning_rate",
    }  # fmt: skip


def test_a_clone_gives_the_bytes_of_a_project_that_was_edited_on_the_way(
    fresh_project: Project, finished_edit: Project, tmp_path: Path, tiny_folder: Path
) -> None:
    clone = fresh_clone(fresh_project, tmp_path / "a longer way", tiny_folder)
    clone.edit(FINISHED_EDIT)
    clone.dvc("repro")
    assert clone.read("dvc.lock") == finished_edit.read("dvc.lock")
    assert outputs(clone) == outputs(finished_edit)


@pytest.mark.parametrize("values", OPTIONS.values(), ids=OPTIONS)
def test_two_clones_give_the_same_bytes(
    fresh_project: Project, tmp_path: Path, tiny_folder: Path, values: dict[str, object]
) -> None:
    """Of all but the figures, which the options do not reach."""
    one = fresh_clone(fresh_project, tmp_path / "one", tiny_folder)
    other = fresh_clone(fresh_project, tmp_path / "a longer way" / "other", tiny_folder)
    for clone in (one, other):
        clone.edit(values | {"train.epochs": 3})
    command = ("dvc", "repro", "evaluate")
    with started(one, *command) as run, started(other, *command) as other_run:
        assert "Updating lock file" in run.ended()
        assert "Updating lock file" in other_run.ended()
    assert (run.process.returncode, other_run.process.returncode) == (0, 0)
    assert one.read("dvc.lock") == other.read("dvc.lock")
    assert outputs(one) == outputs(other)
