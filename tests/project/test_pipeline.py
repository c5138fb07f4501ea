"""dvc.yaml itself: that it declares what the code uses, and that only what changed runs again."""

import ast
import copy
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, Project
from dvc.repo import Repo

STAGES = ["fetch", "preprocess", "train", "evaluate", "plots"]

# Their edit cannot change an output: run starts a stage with the help of importing, inputs, keys
# and lock, params and checking refuse values but alter none, __init__ holds the error class.
WITHOUT_EFFECT = {"__init__", "run", "importing", "inputs", "keys", "lock", "params", "checking"}
# Where files come from changes nothing in them: their hashes are declared.
NOT_DECLARED = {"sources"}

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
    "dataset": ("mnist", {"fetch", "preprocess", "evaluate", "plots"}),
    "seed": (1, {"train"}),
    "preprocess.validation_fraction": (0.3, {"preprocess"}),
    "preprocess.split": ("random", {"preprocess"}),
    "preprocess.split_seed": (1, {"preprocess"}),
    "train.epochs": (2, {"train"}),
    "train.batch_size": (8, {"train"}),
    "train.learning_rate": (0.01, {"train"}),
    "train.schedule": ("cosine", {"train"}),
    "train.warmup": (0.5, {"train"}),
    "train.label_smoothing": (0.1, {"train"}),
    "train.precision": ("mixed_bfloat16", {"train"}),
    "train.members": (2, {"train"}),
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
    "plots.resolution": (50, {"plots"}),
    "plots.confused_pairs": (3, {"plots"}),
}
CATALOG_KEYS: dict[str, set[str]] = {
    "title": set(),
    "classes": {"preprocess", "evaluate", "plots"},
    "class_axis": {"plots"},
    "files": {"fetch"},
    "sources": set(),
    "suspect_test_labels": {"evaluate"},
    "licence": set(),
    "citation": set(),
}

FILES: dict[str, set[str]] = {
    "__init__": set(),
    "run": set(),
    "importing": set(),
    "inputs": set(),
    "keys": set(),
    "lock": set(),
    "params": set(),
    "checking": set(),
    "files": set(STAGES),
    "fetch": {"fetch"},
    "sources": {"fetch"},
    "preprocess": {"preprocess"},
    "idx": {"preprocess"},
    "train": {"train"},
    "architectures": {"train"},
    "augmentation": {"train"},
    "batches": {"train"},
    "checkpoints": {"train"},
    "fitting": {"train"},
    "layers": {"train"},
    "optimizers": {"train"},
    "prediction": {"train", "evaluate"},
    "progress": {"train"},
    "saving": {"train", "evaluate"},
    "scores": {"train", "evaluate"},
    "class_scores": {"evaluate"},
    "evaluate": {"evaluate"},
    "plots": {"plots"},
    "figures": {"plots"},
}


def declaration() -> dict[str, Any]:
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    stages: dict[str, Any] = pipeline["stages"]
    return stages


def source(module: str) -> ast.Module:
    return ast.parse((ROOT / f"stages/{module}.py").read_text(encoding="utf-8"))


def imported(module: str) -> set[str]:
    """The modules of stages/ that a module imports, itself included, and what those import."""
    names = {module}
    for node in ast.walk(source(module)):
        if isinstance(node, ast.ImportFrom) and node.module == "stages":
            found = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stages."):
            found = {node.module.removeprefix("stages.")}
        else:
            found = set()
        for name in found:
            if name not in names and (ROOT / f"stages/{name}.py").exists():
                names |= imported(name)
    return names


def used_params(stage: str) -> set[str]:
    """What dvc.yaml has to name for a stage: its main's sections, the catalog's keys it reads."""
    main = importlib.import_module(f"stages.{stage}").main
    sections = [
        a.name for a in inspect.signature(main).parameters.values() if a.annotation is not Path
    ]
    used = {section for section in sections if section != "model"}
    if "model" in sections:
        used |= {"model.name", "model.${model.name}"}
    if "dataset" in sections:
        used |= {
            f"${{dataset}}.{node.attr}"
            for node in ast.walk(source(stage))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "dataset"
        } - {f"${{dataset}}.{key}" for key in NOT_DECLARED}
    return used


def undeclared(stages: dict[str, Any]) -> list[str]:
    """Each difference between what dvc.yaml declares and what the stages' code uses."""
    problems = []
    for stage, block in stages.items():
        deps = {Path(dep).stem for dep in block["deps"] if dep.startswith("stages/")}
        params = set()
        for entry in block["params"]:
            params |= {entry} if isinstance(entry, str) else set(*entry.values())
        for kind, declared, used in [
            ("dep", deps, imported(stage) - WITHOUT_EFFECT),
            ("param", params, used_params(stage)),
        ]:
            problems += [
                f"{stage}: {kind} {name} is used, not declared" for name in used - declared
            ]
            problems += [
                f"{stage}: {kind} {name} is declared, not used" for name in declared - used
            ]
    return problems


def leaves(values: dict[str, Any], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for key, value in values.items():
        names |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
    return names


def stale(project: Project) -> set[str]:
    """The stages whose own deps, params or outputs differ from dvc.lock; sweeps have their own."""
    with Repo(str(project.folder)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()} - {"sweep"}


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '(\w+)'", output))


def test_dvc_yaml_declares_what_the_code_uses() -> None:
    assert undeclared(declaration()) == []


@pytest.mark.parametrize(
    ("stage", "key", "entry"),
    [
        ("train", "deps", "stages/batches.py"),
        ("preprocess", "deps", "stages/idx.py"),
        ("train", "params", "seed"),
        ("plots", "params", "plots"),
    ],
)
def test_a_removed_declaration_is_noticed(stage: str, key: str, entry: str) -> None:
    stages = copy.deepcopy(declaration())
    stages[stage][key].remove(entry)
    (problem,) = undeclared(stages)
    assert problem.startswith(f"{stage}: {key[:-1]}")
    assert problem.endswith("is used, not declared")


def test_the_tables_below_are_complete() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    catalog = yaml.safe_load((ROOT / "data/catalog.yaml").read_text(encoding="utf-8"))
    assert leaves(params) == VALUES.keys()
    assert all(block.keys() == CATALOG_KEYS.keys() for block in catalog.values())
    assert {path.stem for path in (ROOT / "stages").glob("*.py")} == FILES.keys()


def test_each_value_makes_its_own_stages_stale(project: Project) -> None:
    original = project.read("params.yaml")
    found = {}
    for name, (value, _) in VALUES.items():
        project.edit({name: value})
        found[name] = stale(project)
        (project.folder / "params.yaml").write_text(original, encoding="utf-8")
    assert found == {name: stages for name, (_, stages) in VALUES.items()}
    assert stale(project) == set()


def test_each_key_of_the_catalog_makes_its_own_stages_stale(project: Project) -> None:
    path = project.folder / "data/catalog.yaml"
    original = path.read_text(encoding="utf-8")
    found = {}
    for key in CATALOG_KEYS:
        catalog = yaml.safe_load(original)
        catalog["tiny"][key] = "another value"
        path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
        found[key] = stale(project)
    assert found == CATALOG_KEYS


def test_each_source_file_makes_its_own_stages_stale(project: Project) -> None:
    found = {}
    for name in FILES:
        path = project.folder / f"stages/{name}.py"
        original = path.read_text(encoding="utf-8")
        path.write_text(f"{original}# edited\n", encoding="utf-8")
        found[name] = stale(project)
        path.write_text(original, encoding="utf-8")
    assert found == FILES


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


def test_another_data_set_is_a_block_in_the_catalog(project: Project) -> None:
    path = project.folder / "data/catalog.yaml"
    catalog = yaml.safe_load(path.read_text(encoding="utf-8"))
    catalog["renamed"] = catalog["tiny"] | {"classes": ["a", "b", "c"]}
    path.write_text(yaml.safe_dump(catalog), encoding="utf-8")
    project.edit({"dataset": "renamed"})
    assert ran(project.dvc("repro")) == {"fetch", "preprocess", "evaluate", "plots"}
    assert '"class": "b"' in project.read("reports/classes.json")


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


def test_fetch_works_offline_once_it_has_run(project: Project) -> None:
    project.environment = project.environment | {"DATASET_FOLDER": "/nonexistent"}
    assert ran(project.dvc("repro", "--force", "fetch")) == {"fetch"}
    assert project.git("status", "--porcelain") == ""
