"""The measuring of recipes: each run once, as `dvc repro` would, its row and the README's table."""

import re

import pytest
import yaml
from conftest import ROOT, Project, needs_ray

from benchmarks.recipes import __main__ as measuring
from benchmarks.recipes.run import RecipeRun
from stages.plots.reports import read_json
from tools.recipe import read_recipe
from tools.shared.marks import replace_between_marks

MEASURED = ("accuracy", "accuracy_trusted", "parameters", "threads", "train_seconds", "machine")


@pytest.fixture
def measured(fresh_project: Project, tmp_path, monkeypatch) -> Project:
    """A project with two tiny recipes, in which the measuring command works."""
    project = fresh_project.copy(tmp_path / "clone")
    path = project.folder / "recipes.yaml"
    tiny = yaml.safe_load(project.read("params.yaml"))
    article = {key: tiny[key] for key in ("dataset", "train", "model")}
    more = {"train": {"epochs": 2, "members": 2, "refit": True}}
    path.write_text(yaml.safe_dump({"article": article, "more": more}), encoding="utf-8")
    project.commit("Tiny recipes")
    monkeypatch.chdir(project.folder)
    for name, place in [("README", "README.md"), ("RESULTS", "benchmarks/recipes/recipes.csv")]:
        monkeypatch.setattr(measuring, name, project.folder / place)
    (project.folder / "benchmarks/recipes/recipes.csv").unlink(missing_ok=True)
    monkeypatch.setattr(measuring, "ROOT", project.folder)
    for variable, value in project.environment.items():
        monkeypatch.setenv(variable, value)
    return project


def asked(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Run the measuring command with these words."""
    monkeypatch.setattr("sys.argv", ["python -m benchmarks.recipes", *words])
    measuring.main()


def test_recipes_are_measured_once_and_tabled(measured: Project, monkeypatch, capsys):
    asked(monkeypatch, "more", "--seeds", "0")
    (first,) = measuring.read_rows()
    again: list[RecipeRun] = []

    def measure(_commit, run: RecipeRun) -> dict[str, object]:
        again.append(run)
        return {column: first[column] for column in MEASURED} | {"versions": "of these"}

    monkeypatch.setattr(measuring, "measure_recipe", measure)
    asked(monkeypatch, "more", "--seeds", "0", "7")
    assert again == [RecipeRun("more", 7)]
    rows = measuring.read_rows()
    assert [(row["recipe"], row["seed"], row["epochs"]) for row in rows] == [
        ("more", "0", "2"), ("more", "7", "2"),
    ]  # fmt: skip
    assert all(0 <= float(row["accuracy"]) <= 1 < float(row["train_seconds"]) for row in rows)
    (line,) = (line for line in measured.read("README.md").splitlines() if "| more |" in line)
    assert line.count(" ± ") == 2
    capsys.readouterr()
    asked(monkeypatch, "more", "--seeds", "0", "7")
    assert len(again) == 1
    assert "Nothing to run: recipes.csv has a row of each run" in capsys.readouterr().out
    assert measured.git("status", "--porcelain").splitlines()[0].endswith("README.md")


@needs_ray
def test_runs_can_be_spread_over_ray(measured: Project, monkeypatch):
    asked(monkeypatch, "article", "more", "--seeds", "7", "--spread", "1")
    rows = measuring.read_rows()
    assert {row["recipe"]: row["seed"] for row in rows} == {"article": "7", "more": "7"}
    assert all(row["machine"].endswith("; 1 of its threads") for row in rows)
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)
    (more,) = (row for row in rows if row["recipe"] == "more")
    (article,) = (row for row in rows if row["recipe"] == "article")
    assert int(more["parameters"]) == 2 * int(article["parameters"])


@needs_ray
def test_a_number_of_threads_that_no_machine_has_is_refused(measured: Project):
    words = ["python", "-m", "benchmarks.recipes", "article", "--seeds", "7", "--spread"]
    printed = measured.run(*words, "999", code=1)
    assert re.search(r"recipes: --spread 999: the largest machine has \d+: lower it$", printed)
    assert "expected a number of threads from 1, found 0" in measured.run(*words, "0", code=2)


@needs_ray
def test_a_run_that_fails_on_ray_says_why(measured: Project, monkeypatch):
    recipes = yaml.safe_load(measured.read("recipes.yaml"))
    too_large = {"model": {"name": "cnn", "cnn": {"kernels": [31, 3]}}}
    text = yaml.safe_dump(recipes | {"broken": too_large})
    (measured.folder / "recipes.yaml").write_text(text, encoding="utf-8")
    measured.commit("A recipe that cannot train")
    with pytest.raises(SystemExit, match=r"(?s)stages\.run train .* ended with 1:.*kernel of 31"):
        asked(monkeypatch, "broken", "--seeds", "7", "--spread", "1")
    assert measuring.read_rows() == []


def test_recipes_that_are_not_committed_are_not_measured(measured: Project, monkeypatch):
    (measured.folder / "recipes.yaml").write_text(measured.read("recipes.yaml") + "# edited\n")
    with pytest.raises(SystemExit, match=r"recipes\.yaml has edits that are not committed"):
        asked(monkeypatch, "more")


def test_a_measured_run_is_what_dvc_repro_gives(measured: Project, finished_project: Project):
    """With the seed of the run and the values of the recipe, whatever params.yaml has."""
    measured.edit({"seed": 3, "train.epochs": 2})
    found = measuring.measure_recipe(measured.folder, RecipeRun("article", 0))
    expected = read_json(finished_project.folder / "reports/test.json")
    for score in ("accuracy", "accuracy_trusted"):
        assert found[score] == expected[score]


def test_a_recipe_with_other_values_is_another(measured: Project):
    values = read_recipe("article")
    assert measuring.recipe_key(values) == measuring.recipe_key(dict(reversed(values.items())))
    assert measuring.recipe_key(values) != measuring.recipe_key(values | {"train.epochs": 9})
    assert measuring.recipe_key(values) != measuring.recipe_key(values | {"model.mlp.units": [9]})
    assert measuring.recipe_key(values) == measuring.recipe_key(values | {"model.cnn.filters": [9]})


def test_a_row_has_the_values_that_ran_whatever_the_file_became(measured: Project, monkeypatch):
    values = read_recipe("article")

    def edited_meanwhile(_commit, _run):
        path = measured.folder / "recipes.yaml"
        path.write_text(path.read_text().replace("epochs: ", "epochs: 1"), encoding="utf-8")
        return dict.fromkeys(MEASURED, "1") | {"versions": "none"}

    monkeypatch.setattr(measuring, "measure_recipe", edited_meanwhile)
    asked(monkeypatch, "article", "--seeds", "1")
    (row,) = measuring.read_rows()
    assert read_recipe("article") != values
    expected = (measuring.recipe_key(values), str(values["train.epochs"]))
    assert (row["values"], row["epochs"]) == expected


def test_no_two_runs_of_an_ensemble_share_a_member():
    assert list(measuring.usual_seeds("cnn", 1)) == [0, 1, 2, 3, 4]
    assert list(measuring.usual_seeds("fashion-cnn", 2)) == [0, 2, 4, 6, 8]
    assert list(measuring.usual_seeds("cnn-ensemble", 7)) == [0, 7]


def test_seconds_are_those_of_runs_that_had_the_machine_alone():
    alone = {"machine": "CPU; 2 cores", "train_seconds": "10.0"}
    rows = [alone, {"machine": "CPU; 2 cores; 1 of its threads", "train_seconds": "18.0"}]
    assert measuring.seconds_of_train(rows) == "10"
    assert measuring.seconds_of_train(rows[1:]) == "not measured alone"


def test_the_readme_has_the_table_of_the_measured_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = "\n".join(measuring.table_lines())
    assert text == replace_between_marks(text, "recipes", table), (
        "`python -m benchmarks.recipes --table`"
    )
