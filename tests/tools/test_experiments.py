"""tools.experiments: what each experiment changed and how it scored, within 80 columns."""

import json

import pytest
from conftest import ROOT, Project

from tools.experiments import ODD_PATH


def list_them(project: Project) -> str:
    return project.call("tools.experiments")


def test_without_experiments_it_says_how_to_run_one(finished_project: Project) -> None:
    said = list_them(finished_project)
    assert said.startswith("No experiment has run here: `dvc exp run --name NAME")
    assert "note" not in said


def test_each_experiment_with_its_changes_and_scores(project: Project) -> None:
    """One that ran here and two from the queue, below the commit that they started from."""
    many = {"plots.confused_pairs": 3, "plots.resolution": 44, "preprocess.split_seed": 6}
    words = [word for key, value in many.items() for word in ("-S", f"{key}={value}")]
    project.dvc("exp", "run", "--name", "a-name-of-more-than-thirty-letters-in-all", *words)
    project.git("checkout", "--quiet", ".")
    project.dvc("exp", "run", "--queue", "--name", "queued", "-S", "plots.resolution=45")
    assert "queued" not in list_them(project)
    assert "Reproducing experiment 'queued'" in project.dvc("exp", "run", "--run-all")
    scores = json.loads(project.read("reports/validation.json"))
    said = list_them(project)
    assert all(f"{key}={value}" in said for key, value in many.items())
    assert [line for line in said.splitlines() if line.startswith("main ")]
    (queued,) = [line for line in said.splitlines() if line.startswith("  queued ")]
    assert f"{scores['accuracy']:.4f}" in queued
    assert f"{scores['loss']:.4f}" in queued
    assert queued.rstrip().endswith("plots.resolution=45")
    assert max(map(len, said.splitlines())) <= 80


def test_one_value_is_one_changed_line(fresh_project: Project, tmp_path) -> None:
    """params.yaml has the form in which DVC rewrites it."""
    project = fresh_project.copy(tmp_path / "clone")
    shipped = (ROOT / "params.yaml").read_text(encoding="utf-8")
    tiny = shipped.replace("dataset: mnist", "dataset: tiny ")
    (project.folder / "params.yaml").write_text(tiny, encoding="utf-8")
    project.commit("The shipped parameters")
    project.dvc("exp", "run", "--quiet", "-S", "train.epochs=5", "fetch")  # trains nothing
    diff = project.git("diff", "--numstat", "--", "params.yaml")
    assert diff.split() == ["1", "1", "params.yaml"]
    project.git("checkout", "--quiet", "params.yaml")
    project.dvc("exp", "run", "--quiet", "-S", "model.mlp.units=[512,128]", "fetch")
    diff = project.git("diff", "--numstat", "--", "params.yaml")
    assert diff.split() == ["1", "1", "params.yaml"]


def test_a_shallow_clone_is_told_why_experiments_vanish(project: Project, tmp_path) -> None:
    url = project.folder.as_uri()
    project.git("clone", "--quiet", "--depth", "1", url, str(tmp_path / "shallow"))
    said = list_them(Project(tmp_path / "shallow", project.environment))
    assert "note: `dvc exp run --temp` and the queue leave no experiment in a clone with" in said


@pytest.mark.parametrize(
    ("path", "odd"),
    [("/a%20b", True), ("/a#b", True), ("/a?b", True), ("/Zoë", True), ("/a b", False),
     ("/100%", False), ("/a%zz", False), ("/a+b&c=(d)", False)],
)  # fmt: skip
def test_paths_that_dvc_takes_for_urls(path: str, odd: bool) -> None:
    assert bool(ODD_PATH.search(path)) is odd
