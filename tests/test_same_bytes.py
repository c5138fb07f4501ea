"""Two fresh clones, each with a folder, a cache and a home of its own, give the same dvc.lock."""

from pathlib import Path

import pytest
from conftest import Project, project_environment
from faults import outputs, started

# What a training can be made of: each option that could draw by chance or keep a state.
OPTIONS: dict[str, dict[str, object]] = {
    "the network with dropout": {},
    "the network without dropout": {"model.mlp.dropout": [0.0, 0.0]},
}


def fresh_clone(project: Project, folder: Path, tiny_folder: Path) -> Project:
    clone = Project(folder / "a clone", project_environment(folder / "home", tiny_folder))
    project.git("clone", "--quiet", ".", str(clone.folder))
    return clone


@pytest.mark.parametrize("values", OPTIONS.values(), ids=OPTIONS)
def test_two_clones_give_the_same_bytes(
    fresh_project: Project, tmp_path: Path, tiny_folder: Path, values: dict[str, object]
) -> None:
    one = fresh_clone(fresh_project, tmp_path / "one", tiny_folder)
    other = fresh_clone(fresh_project, tmp_path / "a longer way" / "other", tiny_folder)
    for clone in (one, other):
        clone.edit(values | {"train.epochs": 3})
    with started(one, "dvc", "repro") as run, started(other, "dvc", "repro") as other_run:
        assert "Updating lock file" in run.ended()
        assert "Updating lock file" in other_run.ended()
    assert (run.process.returncode, other_run.process.returncode) == (0, 0)
    assert one.read("dvc.lock") == other.read("dvc.lock")
    assert outputs(one) == outputs(other)
