"""Recipes: each fits params.yaml, is applied with its comments kept, and can be measured."""

import csv
import re

import pytest
import yaml
from conftest import ROOT, Project, needs_ray

from benchmarks.recipes import __main__ as measuring
from benchmarks.recipes.run import Run
from stages.plots.reports import read_json
from stages.run.keys import flatten
from stages.shared.errors import UserError
from tools.recipe import list_overrides, read_recipe, read_recipes
from tools.shared.marks import replace_between_marks
from tools.shared.paths import RECIPES

NAMES = list(read_recipes(ROOT / RECIPES))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
OF_RECIPES = {key: value for key, value in PARAMS.items() if key in ("dataset", "train", "model")}


def command(project: Project, *words: str, code: int = 0) -> str:
    return project.run("python", "-m", "tools.recipe", *words, code=code)


def test_the_articles_recipe_is_what_params_yaml_ships_with():
    assert read_recipe("article") == flatten("", OF_RECIPES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_every_value_and_params_yaml_is_right_with_it(name):
    assert read_recipe(name).keys() == flatten("", OF_RECIPES).keys()


def test_every_option_serves_a_recipe():
    """What no recipe gains by is not in params.yaml."""
    article = read_recipe("article")
    used = {key for name in NAMES for key, v in read_recipe(name).items() if v != article[key]}
    of_cnn = {key for key in article if key.startswith("model.cnn.")}  # the recipe cnn as it is
    assert article.keys() - of_cnn - used == set()


def test_a_recipe_is_applied_with_every_comment_kept(fresh_project: Project, tmp_path):
    project = fresh_project.copy(tmp_path / "clone")
    shipped = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (project.folder / "params.yaml").write_text(shipped, encoding="utf-8")
    output = command(project, "cnn-ensemble")
    assert "train.members: " in output
    assert "`dvc repro` runs with them" in output
    assert "has these values already" in command(project, "cnn-ensemble")
    after = project.read("params.yaml")
    values = yaml.safe_load(after)
    assert flatten("", {key: values[key] for key in OF_RECIPES}) == read_recipe("cnn-ensemble")
    assert values["seed"] == PARAMS["seed"]
    comments = [line.split("#")[1] for line in shipped.splitlines() if "#" in line]
    assert [line.split("#")[1] for line in after.splitlines() if "#" in line] == comments
    command(project, "article")
    assert project.read("params.yaml") == shipped


def test_what_another_recipe_left_does_not_stay(fresh_project: Project, tmp_path):
    project = fresh_project.copy(tmp_path / "clone")
    command(project, "wide-mlp")
    command(project, "fast-mlp")
    values = yaml.safe_load(project.read("params.yaml"))
    assert flatten("", {key: values[key] for key in OF_RECIPES}) == read_recipe("fast-mlp")


def test_overrides_are_what_dvc_exp_run_takes(project: Project, tmp_path):
    file = project.folder / "mine.yaml"
    block = {"dataset": "tiny", "train": {"epochs": 2, "batch_size": 16, "refit": True},
             "model": {"mlp": {"units": [4, 3], "batch_normalization": True}}}  # fmt: skip
    file.write_text(yaml.safe_dump({"mine": block}), encoding="utf-8")
    words = command(project, "mine", "--file", "mine.yaml", "--overrides").split()
    assert "model.mlp.units=[4,3]" in words
    assert "train.refit=true" in words
    project.dvc("exp", "run", "--quiet", "--name", "mine", *words)
    values = yaml.safe_load(project.read("params.yaml"))
    assert values["model"]["mlp"]["units"] == [4, 3]
    assert values["train"]["refit"] is True


def test_values_that_are_there_already_are_no_overrides(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert list_overrides(flatten("", OF_RECIPES)) == []
    assert list_overrides({"train.schedule": "cosine"}) == ["-S train.schedule=cosine"]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("a: {train: {epochs: 0}}", "a", "a has 1 problem:\n  train.epochs: should be greater"),
        ("a: {train: {epoch: 1}}", "a", "train.epoch: unknown key"),
        ("a: {train: {epochs: {first: 1}}}", "a", r"train\.epochs\.first: expected a key of"),
        ("a: {}", "b", "b: expected a recipe of .*: a$"),
        ("a: 1", "a", "expected blocks shaped like params.yaml"),
        ("[]", "a", "expected blocks shaped like params.yaml"),
    ],
)
def test_a_wrong_recipe_is_refused_and_nothing_written(tmp_path, monkeypatch, text, name, message):
    monkeypatch.chdir(ROOT)
    (tmp_path / "file.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_recipe(name, tmp_path / "file.yaml")


def test_without_a_name_they_are_listed(fresh_project: Project):
    assert command(fresh_project).splitlines() == NAMES
    assert "expected a recipe of recipes.yaml: article" in command(fresh_project, "x", code=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["wdie-mlp"], "wdie-mlp: expected a recipe of"),
        ([], "no NAME: expected a recipe of"),
        (["a", "--file", "mine.yaml"], "mine.yaml: expected a file of recipes such as"),
    ],
)
def test_dvc_refuses_what_a_wrong_recipe_prints_as_overrides(project: Project, words, message):
    """The shell drops the code of $(...): dvc exp run must not run the present values instead."""
    printed = command(project, *words, "--overrides", code=1)
    assert message in printed
    refused = project.dvc("exp", "run", *printed.splitlines()[0].split(), code=None)
    assert "--no-recipe" in printed
    assert "unrecognized arguments: --no-recipe" in refused


def test_the_recipe_that_others_change_must_be_there(fresh_project: Project, tmp_path):
    project = fresh_project.copy(tmp_path / "clone")
    (project.folder / "recipes.yaml").write_text("mine: {train: {epochs: 2}}\n", encoding="utf-8")
    assert "expected a recipe article: the others" in command(project, "mine", code=1)


def test_quotes_and_comments_of_params_stay(fresh_project: Project, tmp_path):
    project = fresh_project.copy(tmp_path / "clone")
    quoted = project.read("params.yaml").replace("dataset: tiny", "dataset: 'mnist'  # mine")
    (project.folder / "params.yaml").write_text(quoted, encoding="utf-8")
    command(project, "fast-mlp")
    assert "dataset: 'mnist'  # mine" in project.read("params.yaml")


# Measuring


@pytest.fixture
def measured(fresh_project: Project, tmp_path, monkeypatch) -> Project:
    """A project with two tiny recipes, in which the measuring command works."""
    project = fresh_project.copy(tmp_path / "clone")
    path = project.folder / "recipes.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    tiny = yaml.safe_load(project.read("params.yaml"))
    article = {key: tiny[key] for key in OF_RECIPES}
    more = {"train": {"epochs": 2, "members": 2, "refit": True}}
    path.write_text(yaml.safe_dump({"article": article, "more": more}), encoding="utf-8")
    project.commit("Tiny recipes")
    assert "article" in values
    monkeypatch.chdir(project.folder)
    for name, place in [("README", "README.md"), ("RESULTS", "benchmarks/recipes/recipes.csv")]:
        monkeypatch.setattr(measuring, name, project.folder / place)
    (project.folder / "benchmarks/recipes/recipes.csv").unlink(missing_ok=True)
    monkeypatch.setattr(measuring, "ROOT", project.folder)
    for variable, value in project.environment.items():
        monkeypatch.setenv(variable, value)
    return project


def test_recipes_are_measured_once_and_tabled(measured: Project, monkeypatch, capsys):
    words = ["python -m benchmarks.recipes", "more", "--seeds", "0", "7"]
    monkeypatch.setattr("sys.argv", words)
    measuring.main()
    with (measured.folder / "benchmarks/recipes/recipes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["recipe"], row["seed"], row["epochs"]) for row in rows] == [
        ("more", "0", "2"), ("more", "7", "2"),
    ]  # fmt: skip
    assert all(0 <= float(row["accuracy"]) <= 1 < float(row["train_seconds"]) for row in rows)
    (line,) = (line for line in measured.read("README.md").splitlines() if "| more |" in line)
    assert line.count(" ± ") == 2
    monkeypatch.setattr(measuring, "measure_recipe", lambda *_: pytest.fail("measured again"))
    capsys.readouterr()
    measuring.main()
    assert "Nothing to run: recipes.csv has a row of each run" in capsys.readouterr().out
    assert measured.git("status", "--porcelain").splitlines()[0].endswith("README.md")


@needs_ray
def test_runs_can_be_spread_over_ray(measured: Project, monkeypatch):
    words = ["python -m benchmarks.recipes", "article", "more", "--seeds", "7", "--spread", "1"]
    monkeypatch.setattr("sys.argv", words)
    measuring.main()
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
    words = ["python -m benchmarks.recipes", "broken", "--seeds", "7", "--spread", "1"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match=r"(?s)stages\.run train .* ended with 1:.*kernel of 31"):
        measuring.main()
    assert measuring.read_rows() == []


def test_recipes_that_are_not_committed_are_not_measured(measured: Project, monkeypatch):
    (measured.folder / "recipes.yaml").write_text(measured.read("recipes.yaml") + "# edited\n")
    monkeypatch.setattr("sys.argv", ["python -m benchmarks.recipes", "more"])
    with pytest.raises(SystemExit, match=r"recipes\.yaml has edits that are not committed"):
        measuring.main()


def test_a_measured_run_is_what_dvc_repro_gives(measured: Project):
    found = measuring.measure_recipe(measured.folder, Run("article", 3))
    measured.edit({"seed": 3})
    measured.dvc("repro", "evaluate")
    assert found["accuracy"] == read_json(measured.folder / "reports/test.json")["accuracy"]


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
        return {"versions": "none", "accuracy": "0.5", "accuracy_trusted": "0.5",
                "parameters": "1", "train_seconds": "1", "machine": "none"}  # fmt: skip

    monkeypatch.setattr(measuring, "measure_recipe", edited_meanwhile)
    monkeypatch.setattr("sys.argv", ["python -m benchmarks.recipes", "article", "--seeds", "1"])
    measuring.main()
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
