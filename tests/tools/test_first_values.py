"""tools.dataset --use: what it sets in params.yaml, and that no edit of a user is lost."""

from pathlib import Path

import pytest
import yaml
from conftest import Project, make_section
from pictures import write_files
from test_dataset import COLOURS, picture, pictures

from stages.run.keys import flatten
from stages.run.params import Images
from tools.dataset.first_values import choose_recipe, describe_gate
from tools.recipe import read_recipe

# The recipe of the tests; what it leaves out is the article's.
OWN_IMAGES = {
    "dataset": None,
    "train": {"epochs": 3},
    "model": {"name": "pretrained", "pretrained": {"side": 64}},
}


@pytest.fixture
def clone(fresh_project: Project, tmp_path: Path) -> Project:
    clone = fresh_project.copy(tmp_path / "clone")
    recipes = yaml.safe_load(clone.read("recipes.yaml")) | {"own-images": OWN_IMAGES}
    (clone.folder / "recipes.yaml").write_text(yaml.safe_dump(recipes), encoding="utf-8")
    clone.commit("The recipe of the tests")
    return clone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "pictures", pictures())


def use(clone: Project, *words: object, code: int = 0) -> str:
    return clone.call("tools.dataset", *map(str, words), "--use", code=code)


def values_of(clone: Project) -> dict[str, object]:
    return flatten("", yaml.safe_load(clone.read("params.yaml")))


def change_line(clone: Project, before: str, after: str) -> None:
    """Edit params.yaml as a person does it: one line."""
    text = clone.read("params.yaml")
    assert text.count(before) == 1
    (clone.folder / "params.yaml").write_text(text.replace(before, after), encoding="utf-8")


def test_one_command_sets_the_data_set_the_split_and_the_recipe(clone, folder, monkeypatch):
    change_line(clone, "dataset: tiny\nseed", "dataset: tiny  # what I train on\nseed")
    clone.commit("A comment")
    before = values_of(clone)
    output = use(clone, "mine", folder, "--untracked")
    assert (
        "chosen for params.yaml:\n"
        "  recipe own-images: a network that knows pictures learns from few images\n"
        "  preprocess.split stratified: as large a share of each class, by chance\n"
    ) in output
    assert "the limits of gate are those of tiny: before you run" in output
    assert output.endswith("next:\n  git add data/mine params.yaml\n  dvc repro\n")
    diff = output[output.index("--- a/params.yaml\n+++ b/params.yaml\n@@ ") :]
    assert "-dataset: tiny  # what I train on\n+dataset: mine  # what I train on\n" in diff
    shown = [line for line in clone.git("diff", "params.yaml").splitlines() if line[0] in "+-"]
    assert [line for line in diff.splitlines() if line[0] in "+-"] == shown
    monkeypatch.chdir(clone.folder)
    expected = read_recipe("own-images") | {"dataset": "mine", "preprocess.split": "stratified"}
    assert expected["train.epochs"] == 3
    assert values_of(clone) == before | expected
    assert "\x1b" not in output


def test_a_second_use_changes_nothing_and_says_so(clone, folder):
    use(clone, "mine", folder, "--untracked")
    text = clone.read("params.yaml")
    output = use(clone, "mine")
    assert "params.yaml has these values already\n" in output
    assert "@@" not in output
    assert clone.read("params.yaml") == text


def test_what_was_taken_in_without_it_is_used_by_what_next_names(clone, folder):
    output = clone.call("tools.dataset", "mine", str(folder), "--untracked")
    assert "  python -m tools.dataset mine --use\n" in output
    assert values_of(clone)["dataset"] == "tiny"
    use(clone, "mine")
    assert values_of(clone)["dataset"] == "mine"


def test_an_uncommitted_value_is_not_overwritten(clone, folder):
    clone.edit({"train.epochs": 7, "plots.resolution": 99})
    text = clone.read("params.yaml")
    refused = use(clone, "mine", folder, code=1)
    assert (
        "--use would overwrite what is not committed in params.yaml:\n"
        "  train.epochs is 7, 1 in the last commit\n"
        "Commit it (`git commit params.yaml`) or put it aside (`git stash push params.yaml`), then "
        "repeat the command\n"
    ) in refused
    assert "resolution" not in refused
    assert clone.read("params.yaml") == text
    assert not (clone.folder / "data/mine").exists()  # nor is anything taken in
    clone.commit("Seven epochs")
    use(clone, "mine", folder, "--untracked")
    assert values_of(clone)["train.epochs"] == 3


def test_other_edits_stay(clone, folder):
    change_line(clone, "resolution: 40\n", "resolution: 99  # sharper\n")
    output = use(clone, "mine", folder, "--untracked")
    assert "  kept, though not committed: plots.resolution\n" in output
    assert "resolution: 99  # sharper\n" in clone.read("params.yaml")
    assert "resolution" not in output[output.index("@@") :]


def test_a_file_that_git_does_not_have_is_not_overwritten(clone, folder):
    clone.git("rm", "--quiet", "--cached", "params.yaml")
    clone.git("commit", "--quiet", "--message", "Without")
    text = clone.read("params.yaml")
    refused = use(clone, "mine", folder, code=1)
    assert "params.yaml is in no commit, and --use would overwrite" in refused
    assert "`git add params.yaml`, `git commit`" in refused
    assert clone.read("params.yaml") == text


def test_dry_shows_the_diff_and_writes_nothing(clone, folder):
    text = clone.read("params.yaml")
    assert "+dataset: mine\n" in use(clone, "mine", folder, "--dry")
    clone.call("tools.dataset", "mine", str(folder), "--untracked")
    assert "+dataset: mine\n" in use(clone, "mine", "--dry")
    assert clone.read("params.yaml") == text


def test_groups_and_splits_of_the_source_decide_the_split(clone, folder, tmp_path):
    output = use(clone, "mine", folder, "--untracked", "--group", r"(.*)\.png")
    assert "  preprocess.split grouped: there are groups\n" in output
    assert values_of(clone)["preprocess.split"] == "grouped"
    clone.commit("Groups")
    files = {f"{split}/{name}": each for split in ("train", "val") for name, each in
             pictures().items()}  # fmt: skip
    output = use(clone, "split", write_files(tmp_path / "split", files), "--untracked")
    assert "  preprocess.split tail: idle, as the source has validation images" in output
    assert values_of(clone)["preprocess.split"] == "tail"


def test_the_network_enlarges_no_image_to_less_than_it_is(clone, tmp_path):
    files = {f"{name}/{number}.png": picture(colour, (210, 90))
             for name, colour in COLOURS.items() for number in range(3)}  # fmt: skip
    output = use(clone, "mine", write_files(tmp_path / "large", files), "--untracked")
    assert "  model.pretrained.side 224: the images' longer side\n" in output
    assert values_of(clone)["model.pretrained.side"] == 224


@pytest.mark.parametrize(
    ("values", "recipe", "reason"),
    [
        ({}, "own-images", "a network that knows pictures"),
        ({"colour": "grey", "background": 0, "height": 64}, "own-images", "a network that"),
        (
            {"colour": "grey", "background": 0, "fit": "ink"},
            "cnn",
            "`fit: ink` is for drawings, which networks for pictures do not know",
        ),
        (
            {"colour": "grey", "background": 0},
            "cnn",
            "grey images of 28x28 are drawings more often than pictures, which networks for",
        ),
        (
            {"colour": "grey", "background": 0, "height": 8, "width": 8},
            "fast-mlp",
            "grey images of 8x8 are drawings more often than pictures, and too small for `cnn`",
        ),
    ],
)
def test_drawings_have_another_recipe_than_pictures(values, recipe, reason):
    given = {"height": 28, "width": 28, "colour": "rgb", "fit": "pad", "background": [0, 0, 0]}
    found = choose_recipe(make_section(Images, **(given | values)))
    assert found.name == recipe
    assert found.reason.startswith(reason)


def test_a_recipe_that_is_not_there_is_missed_before_anything_is_written(clone, folder):
    recipes = yaml.safe_load(clone.read("recipes.yaml"))
    del recipes["own-images"]
    (clone.folder / "recipes.yaml").write_text(yaml.safe_dump(recipes), encoding="utf-8")
    refused = use(clone, "mine", folder, code=1)
    assert "own-images: expected a recipe of recipes.yaml: article, " in refused
    assert not (clone.folder / "data/mine").exists()


def test_limits_of_another_data_set_are_named():
    said = describe_gate({"gate": {"dataset": "mnist"}}, "mine")
    assert said == (
        "params.yaml: the limits of gate are those of mnist: before you run `python -m "
        "tools.gate`, set gate.dataset to mine, and limits that fit it\n"
    )
    assert describe_gate({"gate": {"dataset": "mine"}}, "mine") == ""
    assert describe_gate({"gate": {"validation": {}}}, "mine") == ""


def test_uneven_classes_are_said(clone, folder):
    write_files(folder, {f"blue/more {n}.png": picture((1, 2, n)) for n in range(20)})
    output = use(clone, "mine", folder, "--untracked")
    assert "classes have 3 to 23 images: `train.class_weight: balanced` in params.yaml" in output


def test_a_published_data_set_is_chosen_by_its_name(clone):
    assert "`dataset: mnist` in params.yaml chooses it" in use(clone, "mnist", code=1)
