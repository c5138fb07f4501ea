"""dvc.yaml itself: that it declares what the code uses, and that only what changed runs again."""

import ast
import copy
import hashlib
import importlib
import inspect
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CLASSES, ROOT, Project, tiny_images
from dvc.repo import Repo

from stages.run.params import Params
from tools.shared.imports import reached_files, stray_modules

STAGES = ["fetch", "preprocess", "train", "evaluate", "plots"]

# Where files come from changes nothing in them: their hashes are declared. `folder` is `dataset`.
NOT_DECLARED = {"folder", "sources"}

AFTER = {  # what follows when a stage's outputs changed
    "fetch": {"fetch", "preprocess", "train", "evaluate", "plots"},
    "preprocess": {"preprocess", "train", "evaluate", "plots"},
    "train": {"train", "evaluate", "plots"},
    "evaluate": {"evaluate", "plots"},
    "plots": {"plots"},
    "nothing": set(),
}

# Each value of params.yaml: another value for it, and the stages that are directly stale then.
VALUES: dict[str, tuple[object, set[str]]] = {
    "dataset": ("mnist", {"fetch", "preprocess", "train", "evaluate", "plots"}),
    "seed": (1, {"train"}),
    "preprocess.validation_fraction": (0.3, {"preprocess"}),
    "preprocess.split": ("random", {"preprocess"}),
    "preprocess.split_seed": (1, {"preprocess"}),
    "train.epochs": (2, {"train"}),
    "train.keep": ("best", {"train"}),
    "train.patience": (1, {"train"}),
    "train.batch_size": (8, {"train"}),
    "train.learning_rate": (0.01, {"train"}),
    "train.schedule": ("cosine", {"train"}),
    "train.warmup": (0.5, {"train"}),
    "train.label_smoothing": (0.1, {"train"}),
    "train.threads": (1, {"train"}),
    "train.precision": ("mixed_bfloat16", {"train"}),
    "train.members": (2, {"train"}),
    "train.class_weight": ("balanced", {"train"}),
    "train.refit": (True, {"train"}),
    "train.augmentation.rotation": (5, {"train"}),
    "train.augmentation.translation": (1, {"train"}),
    "train.augmentation.zoom": (0.1, {"train"}),
    "train.augmentation.shear": (0.1, {"train"}),
    "train.augmentation.elastic": (0.5, {"train"}),
    "train.augmentation.flip": (True, {"train"}),
    "model.name": ("cnn", {"train"}),
    "model.mlp.units": ([4, 4], {"train"}),
    "model.mlp.dropout": ([0.1, 0.1], {"train"}),
    "model.mlp.batch_normalization": (True, {"train"}),
    # of the network that is not chosen
    "model.cnn.filters": ([4, 4], set()),
    "model.cnn.kernels": ([2, 2], set()),
    "model.cnn.strides": ([1, 2], set()),
    "model.cnn.dropout": (0.1, set()),
    "model.cnn.batch_normalization": (False, set()),
    "model.pretrained.backbone": ("efficientnet_lite0", set()),
    "model.pretrained.side": (64, set()),
    "model.pretrained.dropout": (0.1, set()),
    "model.pretrained.views": (2, set()),  # idle, as is any value of a network not chosen
    "model.pretrained.tuned_blocks": (1, set()),
    "model.pretrained.tuned_epochs": (1, set()),
    "model.pretrained.tuned_learning_rate": (0.001, set()),
    "evaluate.accepted_error": (0.1, {"evaluate"}),
    "gate.dataset": ("mnist", set()),
    "gate.validation.accuracy": (0.5, set()),
    "plots.resolution": (50, {"plots"}),
    "plots.confused_pairs": (3, {"plots"}),
}
DATASET_KEYS: dict[str, set[str]] = {
    "title": {"evaluate"},
    "classes": {"preprocess", "evaluate", "plots"},
    "class_axis": {"evaluate", "plots"},
    "format": {"fetch", "preprocess"},
    "files": {"fetch", "preprocess"},
    "sources": set(),
    "images": {"preprocess", "train", "evaluate"},
    "splits": {"preprocess"},
    "skip_bad": {"preprocess"},
    "licence": set(),
    "citation": set(),
}

# Files that may lie in a folder of code and are none.
NO_CODE = [
    "__pycache__/main.cpython-311.pyc",
    ".ipynb_checkpoints/main-checkpoint.py",
    "main.py~",
    ".main.py.swp",
    ".#main.py",
    "#main.py#",
    "main.py.orig",
    ".hidden.py",
    "notes.txt",
    "old/main.py",
]


def declaration() -> dict[str, Any]:
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    stages: dict[str, Any] = pipeline["stages"]
    return stages


def modules() -> list[Path]:
    """Every module of stages/, from the project's folder."""
    return sorted(file.relative_to(ROOT) for file in (ROOT / "stages").rglob("*.py"))


def is_empty(module: Path) -> bool:
    """Whether it holds a docstring and nothing else."""
    body = ast.parse((ROOT / module).read_text(encoding="utf-8")).body
    return all(isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) for part in body)


def used_code(stage: str) -> set[str]:
    """The deps that a stage's code is: its folder, and each file elsewhere that it reaches."""
    files = {file for file in reached_files(stage) if not is_empty(file)}
    folder = Path("stages", stage)
    return {str(folder if file.parent == folder else file) for file in files}


def used_params(stage: str) -> set[str]:
    """What dvc.yaml has to name for a stage: its main's sections, its keys of dataset.yaml.

    A key is read as an attribute of `dataset`, anywhere in the stage's folder.
    """
    main = importlib.import_module(f"stages.{stage}.main").main
    names = set(inspect.signature(main).parameters) & set(Params.model_fields)
    used = names - {"model"}
    if "model" in names:
        used |= {"model.name", "model.${model.name}"}
    if "dataset" in names:
        trees = [
            ast.parse(path.read_text("utf-8")) for path in (ROOT / "stages" / stage).glob("*.py")
        ]
        read = {
            ast.unparse(node).removeprefix("dataset.")
            for tree in trees
            for node in longest_attributes(tree)
            if ast.unparse(node).startswith("dataset.")
        }
        # A section that is read as a whole somewhere is declared as a whole.
        whole = {key for key in read if "." not in key}
        keys = {key.split(".")[0] if key.split(".")[0] in whole else key for key in read}
        used |= {f"data/${{dataset}}/dataset.yaml:{key}" for key in keys - NOT_DECLARED}
    return used


def longest_attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    """a.b.c, but not the a.b in it."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            yield node


def undeclared(stages: dict[str, Any]) -> Iterator[str]:
    """Each difference between what dvc.yaml declares and what the stages' code uses."""
    for stage, block in stages.items():
        deps = {dep for dep in block["deps"] if dep.startswith("stages/")}
        params: set[str] = set()
        for entry in block["params"]:
            files = {"params.yaml": [entry]} if isinstance(entry, str) else entry
            for file, keys in files.items():
                params |= {key if file == "params.yaml" else f"{file}:{key}" for key in keys}
        for kind, declared, used in [
            ("dep", deps, used_code(stage)),
            ("param", params, used_params(stage)),
        ]:
            yield from (f"{stage}: {kind} {name} is used, not declared" for name in used - declared)
            yield from (f"{stage}: {kind} {name} is declared, not used" for name in declared - used)


def leaves(values: dict[str, Any], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for key, value in values.items():
        names |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return names


def stale(project: Project) -> set[str]:
    """The stages whose own deps, params or outputs differ from dvc.lock."""
    with Repo(str(project.folder)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}  # dvc.yaml:train


def hashes_of_outputs(project: Project) -> dict[str, str]:
    lock = yaml.safe_load(project.read("dvc.lock"))
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '(\w+)'", output))


# What is declared


def test_dvc_yaml_declares_what_the_code_uses() -> None:
    assert list(undeclared(declaration())) == []


def test_the_code_deps_are_few() -> None:
    deps = [dep for stage in declaration().values() for dep in stage["deps"]]
    assert sum(dep.startswith("stages/") for dep in deps) <= 26


@pytest.mark.parametrize(
    ("stage", "key", "entry"),
    [
        ("train", "deps", "stages/train"),
        ("preprocess", "deps", "stages/shared/atomic_write.py"),
        ("evaluate", "deps", "stages/shared/scores.py"),
        ("train", "params", "seed"),
        ("plots", "params", "plots"),
    ],
)
def test_a_removed_declaration_is_noticed(stage: str, key: str, entry: str) -> None:
    stages = copy.deepcopy(declaration())
    stages[stage][key].remove(entry)
    (problem,) = undeclared(stages)
    assert problem == f"{stage}: {key[:-1]} {entry} is used, not declared"


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("stages/train/fitting.py", "from stages.run.params import Train"),
        ("stages/train/augmentation.py", "import stages.run.keys"),
        ("stages/shared/scores.py", "def late() -> None: from stages.run import plain"),
    ],
)
def test_code_of_a_stage_that_is_put_into_run_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, line: str
) -> None:
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    monkeypatch.chdir(tmp_path)
    assert not any(file.parent == Path("stages/run") for file in reached_files("train"))
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n\n{line}\n")
    assert any(file.parent == Path("stages/run") for file in reached_files("train"))


def test_the_types_of_params_have_no_logic_but_their_checks() -> None:
    """A property or method could decide what is computed, and no stage has it as a dep."""
    tree = ast.parse((ROOT / "stages/run/params.py").read_text(encoding="utf-8"))
    logic = [
        f"{kind.name}.{part.name}"
        for kind in tree.body
        if isinstance(kind, ast.ClassDef)
        for part in kind.body
        if isinstance(part, ast.FunctionDef)
        if not any("validator" in ast.unparse(decorator) for decorator in part.decorator_list)
    ]
    assert logic == []


def test_no_module_lies_in_the_folder_of_a_stage_that_does_not_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert list(stray_modules()) == []


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_really_imports_is_found_by_following_imports(
    fresh_project: Project, stage: str
) -> None:
    code = f"""
import sys
from stages.run.importing import import_stage
before = set(sys.modules)
import_stage("{stage}")
names = set(sys.modules) - before
print(*(name for name in names if name.startswith("stages.")), sep="\\n")
"""
    printed = fresh_project.run("python", "-c", code, errors=False).split()
    imported = {Path(*name.split(".")) for name in printed}
    files = {
        path.with_suffix(".py") for path in imported if (ROOT / path.with_suffix(".py")).exists()
    }
    assert files
    assert files <= reached_files(stage)


def test_the_tables_above_are_complete() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert leaves(params) == VALUES.keys()
    for file in (ROOT / "data").glob("*/dataset.yaml"):
        assert yaml.safe_load(file.read_text(encoding="utf-8")).keys() == DATASET_KEYS.keys()


# What makes a stage stale


def test_each_value_makes_its_own_stages_stale(project: Project) -> None:
    original = project.read("params.yaml")
    found = {}
    for name, (value, _) in VALUES.items():
        project.edit({name: value})
        found[name] = stale(project)
        (project.folder / "params.yaml").write_text(original, encoding="utf-8")
    assert found == {name: stages for name, (_, stages) in VALUES.items()}
    assert stale(project) == set()


def test_each_key_of_a_data_set_makes_its_own_stages_stale(project: Project) -> None:
    dataset = yaml.safe_load(project.read("data/tiny/dataset.yaml"))
    found = {}
    for key in DATASET_KEYS:
        project.write_dataset("tiny", dataset | {key: "another value"})
        found[key] = stale(project)
    assert found == DATASET_KEYS


def add_correction(project: Project, split: str, image: int, new: str) -> None:
    """Add to the tiny data set's corrections one of that training or test image."""
    images, labels = {"train": tiny_images(60, seed=1), "test": tiny_images(30, seed=2)}[split]
    digest = hashlib.sha256(images[image].tobytes()).hexdigest()
    with (project.folder / "data/tiny/corrections.csv").open("a", encoding="utf-8") as file:
        file.write(f"{digest},{CLASSES[labels[image]]},{new},a test\n")


def test_corrections_make_preprocess_stale_alone(project: Project) -> None:
    add_correction(project, "train", 4, "right")
    assert stale(project) == {"preprocess"}


def test_each_module_makes_stale_exactly_the_stages_that_reach_it(project: Project) -> None:
    expected, found = {}, {}
    for module in modules():
        path = project.folder / module
        original = path.read_text(encoding="utf-8")
        path.write_text(f"{original}# edited\n", encoding="utf-8")
        found[module] = stale(project)
        path.write_text(original, encoding="utf-8")
        reach = {stage for stage in STAGES if module in reached_files(stage)}
        own = {stage for stage in STAGES if module.parent == Path("stages", stage)}
        # A module without code, on the way to others: its edit changes nothing.
        expected[module] = own if is_empty(module) else reach
    assert found == expected
    assert stale(project) == set()


def test_a_new_module_of_a_stage_makes_it_stale_and_verify_names_it(project: Project) -> None:
    (project.folder / "stages/train/leftover.py").write_text("x = 1\n", encoding="utf-8")
    assert stale(project) == {"train"}
    output = project.run("python", "-m", "tools.verify", code=None)
    assert "stages/train/leftover.py: no import of train reaches it" in output


def test_what_is_no_code_makes_nothing_stale(project: Project) -> None:
    for stage in STAGES:
        for name in NO_CODE:
            path = project.folder / "stages" / stage / name
            path.parent.mkdir(exist_ok=True)
            path.write_text("x = 1\n", encoding="utf-8")
    assert stale(project) == set()
    assert "up to date" in project.dvc("repro")


# What runs


def test_a_first_run_runs_every_stage_and_a_second_none(
    fresh_project: Project, tmp_path: Path
) -> None:
    project = fresh_project.copy(tmp_path / "clone")
    assert ran(project.dvc("repro")) == set(STAGES)
    assert "Data and pipelines are up to date" in project.dvc("repro")
    untracked = {"dvc.lock", "reports/"}
    status = {line[3:].strip('"') for line in project.git("status", "--porcelain").splitlines()}
    assert status == untracked
    lock = project.read("dvc.lock")
    assert ran(project.dvc("repro", "--force")) == set(STAGES)
    assert project.read("dvc.lock") == lock


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("seed", "train"),
        (
            "preprocess.split_seed",
            None,
        ),  # tail does not look at it: preprocess gives the same bytes
        ("preprocess.validation_fraction", "preprocess"),
        ("model.mlp.units", "train"),
        ("model.name", "train"),
        ("train.refit", "train"),
        ("model.cnn.dropout", "nothing"),
        ("plots.resolution", "plots"),
    ],
)
def test_a_changed_value_runs_what_depends_on_it(
    project: Project, name: str, first: str | None
) -> None:
    project.edit({name: VALUES[name][0]})
    assert ran(project.dvc("repro")) == (AFTER[first] if first else {"preprocess"})
    assert "up to date" in project.dvc("repro")


def test_a_correction_runs_what_learns_from_it(project: Project) -> None:
    add_correction(project, "train", 4, "right")
    assert ran(project.dvc("repro")) == AFTER["preprocess"]
    assert "up to date" in project.dvc("repro")
    differing = [line.split() for line in project.dvc("metrics", "diff").splitlines()]
    of_data = [row for row in differing if row and row[0] == "reports/data.json"]
    assert of_data == [["reports/data.json", "relabelled_images", "0", "1", "1"]]


def test_a_correction_of_a_test_image_trains_nothing(project: Project) -> None:
    before = json.loads(project.read("reports/test.json"))
    add_correction(project, "test", 4, "")
    assert ran(project.dvc("repro")) == {"preprocess", "evaluate"}
    after = json.loads(project.read("reports/test.json"))
    differing = {key for key in before if before[key] != after[key]}
    assert differing <= {"accuracy_trusted", "made_from"}
    assert json.loads(project.read("reports/data.json"))["corrected_test_labels"] == 2


def test_another_data_set_is_a_folder_with_one_file(project: Project) -> None:
    dataset = yaml.safe_load(project.read("data/tiny/dataset.yaml"))
    project.write_dataset("renamed", dataset | {"classes": ["a", "b", "c"]})
    project.edit({"dataset": "renamed"})
    assert ran(project.dvc("repro")) == set(STAGES)
    assert '"class": "b"' in project.read("reports/classes.json")


def test_the_oddities_turned_off_give_the_same_bytes(
    finished_project: Project, fresh_project: Project, tmp_path: Path
) -> None:
    """STAGES_PLAIN=1: plain imports, Keras' own Adam, an orderly end (stages/run/plain.py)."""
    project = fresh_project.copy(tmp_path / "clone")
    project.environment = project.environment | {"STAGES_PLAIN": "1"}
    output = project.dvc("repro")
    assert "port.cc" in output  # TensorFlow's greeting, which the filter hides otherwise
    plain, usual = (hashes_of_outputs(one) for one in (project, finished_project))
    recorded = {
        f"reports/{name}.json" for name in ("data", "validation", "test")
    }  # they say that it was plain
    assert {path for path in usual if plain[path] != usual[path]} == recorded


def test_earlier_values_come_back_without_training(edited_project: Project) -> None:
    edited_project.git("checkout", "--", "params.yaml")
    output = edited_project.dvc("repro")
    assert "Stage 'train' is cached" in output
    assert ran(output) == set()
    assert edited_project.git("status", "--porcelain") == ""


def test_a_refused_value_loses_nothing(project: Project) -> None:
    project.edit({"train.epochs": -1, "train.batch_size": "many"})
    output = project.dvc("repro", code=255)
    assert "params.yaml has 2 problems" in output
    assert "train.epochs: should be greater than or equal to 1, found -1" in output
    assert "Traceback" not in output
    project.git("checkout", "--", "params.yaml")
    assert ran(project.dvc("repro")) == set()
    assert (project.folder / "models/model.keras").exists()
    assert project.git("status", "--porcelain") == ""


def test_fetch_works_offline_once_it_has_run(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    project.environment = project.environment | {"DATASET_FOLDER": str(tmp_path / "empty")}
    assert ran(project.dvc("repro", "--force", "fetch")) == {"fetch"}
    assert project.git("status", "--porcelain") == ""
