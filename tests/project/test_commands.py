"""The commands that the README shows, as a user types them."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from conftest import Project

CHARTS = ("history.csv", "confusion.json", "classes.json", "reliability.json")
STAGES = ("fetch", "preprocess", "train", "evaluate", "plots")
FIGURES = (
    "samples",
    "class_distribution",
    "training_curves",
    "confusion_matrix",
    "correct_predictions",
    "wrong_predictions",
    "confused_pairs",
    "class_recall",
)


def test_dvc_dag_shows_every_stage(project: Project) -> None:
    output = project.dvc("dag")
    assert all(stage in output for stage in STAGES)


def test_an_edit_is_compared_with_the_last_commit(edited_project: Project) -> None:
    assert "train.epochs" in edited_project.dvc("params", "diff")
    metrics = json.loads(edited_project.dvc("metrics", "diff", "--json", errors=False))
    assert metrics["reports/validation.json"]["loss"].keys() == {"old", "new", "diff"}
    plots = json.loads(edited_project.dvc("plots", "diff", "--json", errors=False))
    assert plots.get("errors", []) == []
    assert {f"reports/{name}" for name in CHARTS} <= plots["data"].keys()
    assert {f"reports/figures/{name}.png" for name in FIGURES} <= plots["data"].keys()


def test_plots_show_writes_a_page(project: Project) -> None:
    project.dvc("plots", "show")
    page = project.read("dvc_plots/index.html")
    assert "Learning curves" in page
    assert "confusion_matrix.png" in page


def test_an_experiment_runs_and_shows(project: Project) -> None:
    project.dvc("exp", "run", "--name", "slower", "-S", "train.learning_rate=0.00001", "train")
    assert "learning_rate: 1e-05" in project.read("params.yaml")
    shown = project.dvc(
        "exp", "show", "--only-changed", "--drop", "Created|State|Executor|data/|stages"
    )
    assert "slower" in shown
    assert "1e-05" in shown


def test_an_experiment_in_a_temporary_folder_leaves_the_workspace(project: Project) -> None:
    project.dvc("exp", "run", "--temp", "--name", "apart", "-S", "plots.resolution=50")
    assert project.git("status", "--porcelain") == ""
    assert "apart" in project.dvc("exp", "list", "--name-only")


def test_a_tag_brings_back_data_model_and_scores(edited_project: Project) -> None:
    project, model = edited_project, edited_project.folder / "models/model.keras"
    project.git("tag", "first")
    scores, content = project.read("reports/test.json"), model.read_bytes()
    project.commit("Another learning rate")
    project.git("checkout", "--quiet", "first")
    project.dvc("checkout")
    assert "up to date" in project.dvc("status")
    assert project.read("reports/test.json") != scores
    assert model.read_bytes() != content
    project.git("checkout", "--quiet", "main")
    project.dvc("checkout")
    assert (project.read("reports/test.json"), model.read_bytes()) == (scores, content)


def test_a_clone_pulls_everything_and_runs_nothing(project: Project, tmp_path: Path) -> None:
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "a store"))
    project.commit("A folder as remote")
    project.dvc("push")
    clone = Project(tmp_path / "another clone", project.environment)
    project.git("clone", "--quiet", ".", str(clone.folder))
    assert not (clone.folder / ".dvc/cache").exists()
    clone.dvc("pull")
    assert "Data and pipelines are up to date" in clone.dvc("repro")
    model = "models/model.keras"
    assert (clone.folder / model).read_bytes() == (project.folder / model).read_bytes()


def test_a_clone_without_cache_compares_metrics_and_charts(
    edited_project: Project, tmp_path: Path
) -> None:
    edited_project.commit("Another learning rate")
    clone = Project(tmp_path / "clone", edited_project.environment)
    edited_project.git("clone", "--quiet", ".", str(clone.folder))
    assert "accuracy" in clone.dvc("metrics", "diff", "HEAD~1", "HEAD")
    targets = [f"reports/{name}" for name in CHARTS]
    output = clone.dvc(
        "plots", "diff", "HEAD~1", "HEAD", "--json", "--targets", *targets, errors=False
    )
    drawn = json.loads(output)["data"]
    assert all(drawn[name][0]["revisions"] == ["HEAD~1", "HEAD"] for name in targets)


def test_commands_work_from_a_subfolder(project: Project) -> None:
    assert "up to date" in project.dvc("--cd", "..", "repro", cwd="stages")
    assert "accuracy" in project.dvc("metrics", "show", cwd="stages")


def test_a_queued_experiment_runs_and_becomes_a_branch(project: Project) -> None:
    project.dvc("exp", "run", "--queue", "--name", "later", "-S", "plots.resolution=50")
    project.dvc("queue", "start")
    project.dvc("queue", "logs", "later", "--follow")
    wait_for("Success", lambda: project.dvc("queue", "status"))
    assert project.git("status", "--porcelain") == ""
    project.dvc("exp", "apply", "later")
    assert "resolution: 50" in project.read("params.yaml")
    project.dvc("exp", "branch", "later", "finer-figures")
    assert "resolution: 50" in project.git("show", "finer-figures:params.yaml")


def wait_for(text: str, shown: Callable[[], str], seconds: float = 60) -> None:
    """Until a command shows that text: a worker in the background needs its time."""
    end = time.monotonic() + seconds
    while text not in (output := shown()):
        assert time.monotonic() < end, output
        time.sleep(0.5)
