"""Recipes: each fits params.yaml, and is applied with its comments kept."""

import pytest
import yaml
from conftest import ROOT, Project

from stages.run.keys import flatten
from stages.run.params import RECIPES
from stages.shared.errors import UserError
from tools.recipe import list_overrides, read_recipe, read_recipes

NAMES = list(read_recipes(ROOT / RECIPES))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
OF_RECIPES = {key: value for key, value in PARAMS.items() if key in ("dataset", "train", "model")}


def command(project: Project, *words: str, code: int = 0) -> str:
    return project.call("tools.recipe", *words, code=code)


def test_the_articles_recipe_is_what_params_yaml_ships_with():
    assert read_recipe("article") == flatten("", OF_RECIPES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_every_value_and_params_yaml_is_right_with_it(name):
    assert read_recipe(name).keys() == flatten("", OF_RECIPES).keys()


def test_every_option_serves_a_recipe():
    """What no recipe gains by is not in params.yaml.

    But for what the published data sets do not need.
    """
    article = read_recipe("article")
    used = {key for name in NAMES for key, v in read_recipe(name).items() if v != article[key]}
    own = ("model.name", f"model.{article['model.name']}.")
    of_others = {k for k in article if k.startswith("model.") and not k.startswith(own)}
    assert article.keys() - of_others - used == {
        "train.class_weight", "train.keep", "train.patience",
    }  # fmt: skip


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


def test_null_in_a_recipe_is_the_present_value(fresh_project: Project, tmp_path):
    project = fresh_project.copy(tmp_path / "clone")
    (project.folder / "mine.yaml").write_text("mine: {dataset: null, train: {epochs: 9}}", "utf-8")
    command(project, "mine", "--file", "mine.yaml")
    values = yaml.safe_load(project.read("params.yaml"))
    assert (values["dataset"], values["train"]["epochs"]) == ("tiny", 9)


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
    tool = ("python", "-m", "tools.recipe", "mine", "--file", "mine.yaml", "--overrides")
    words = project.run(*tool).split()
    assert "model.mlp.units=[4,3]" in words
    assert "train.refit=true" in words
    project.dvc("exp", "run", "--quiet", "--name", "mine", *words, "fetch")  # trains nothing
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
