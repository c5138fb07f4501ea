"""python -m tools.why beside `dvc status` and `dvc repro`: the same stages, for the same causes."""

import contextlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import Project, seconds_of_children
from PIL import Image

from tools.why.causes import find_causes
from tools.why.pipeline import read_stages
from tools.why.plan import Step, make_plan
from tools.why.present import read_present

WHY = "tools.why"
SECONDS = 1.0
NOTHING = "Nothing would run"


def append(path: str, text: str) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        file = project.folder / path
        file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")

    return edit


def remove(path: str) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        (project.folder / path).unlink()

    return edit


def write(path: str, text: str) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        (project.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / path).write_text(text, encoding="utf-8")

    return edit


def set_values(values: dict[str, object]) -> Callable[[Project], None]:
    return lambda project: project.edit(values)


def set_key(key: str, value: object) -> Callable[[Project], None]:
    """A key of dataset.yaml."""

    def edit(project: Project) -> None:
        dataset = yaml.safe_load(project.read("data/tiny/dataset.yaml"))
        project.write_dataset("tiny", dataset | {key: value})

    return edit


def edit_pipeline(stage: str, **keys: object) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        pipeline = yaml.safe_load(project.read("dvc.yaml"))
        pipeline["stages"][stage] |= keys
        write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))(project)

    return edit


def lose_object(project: Project) -> None:
    """An output's object leaves DVC's cache."""
    project.cached(project.md5_of("models/model.keras")).unlink()


def forget_stage(project: Project) -> None:
    lock = yaml.safe_load(project.read("dvc.lock"))
    del lock["stages"]["evaluate"]
    write("dvc.lock", yaml.safe_dump(lock))(project)


def both(*edits: Callable[[Project], None]) -> Callable[[Project], None]:
    def edit(project: Project) -> None:
        for each in edits:
            each(project)

    return edit


# Each edit with a part of what the user reads.
EDITS: dict[str, tuple[Callable[[Project], None], str]] = {
    "nothing": (lambda _project: None, NOTHING),
    "a value": (set_values({"train.epochs": 5}), "train.epochs: 1 -> 5"),
    "values": (
        set_values({"train.augmentation.flip": True, "seed": 3, "plots.resolution": 50}),
        "train.augmentation.flip: false -> true",
    ),
    "a value as another type": (set_values({"train.learning_rate": 0.0010}), NOTHING),
    "a whole number as a fraction": (set_values({"train.warmup": 0.0}), NOTHING),
    "another network": (set_values({"model.name": "cnn"}), 'model.name: "mlp" -> "cnn"'),
    "the network that is not chosen": (set_values({"model.cnn.dropout": 0.1}), NOTHING),
    "a limit of the gate": (set_values({"gate.validation.accuracy": 0.1}), NOTHING),
    "another data set": (set_values({"dataset": "mnist"}), "data/mnist: it was no dep before"),
    "a value that is gone": (
        lambda project: write("params.yaml", project.read("params.yaml").replace("seed:", "sed:"))(
            project
        ),
        "seed: 0 -> absent",
    ),
    "a file of a stage": (append("stages/train/fitting.py", "#\n"), "1 changed (fitting.py)"),
    "a new file of a stage": (write("stages/plots/new.py", ""), "stages/plots: 1 added (new.py)"),
    "a file less": (remove("stages/evaluate/calibration.py"), "1 removed (calibration.py)"),
    "no file of a stage": (write("stages/train/.hidden.py", ""), NOTHING),
    "a shared file": (
        append("stages/shared/scores.py", "#\n"),
        "stages/shared/scores.py: changed",
    ),
    "stages/run": (append("stages/run/lock.py", "#\n"), NOTHING),
    "a key of the data set": (
        set_key("title", "Other bars"),
        'data/tiny/dataset.yaml: title: "Tiny bars" -> "Other bars"',
    ),
    "a key that no stage reads": (set_key("licence", "another"), NOTHING),
    "a file of the data set": (write("data/tiny/new.txt", "new"), "data/tiny: 1 added (new.txt)"),
    "an output less": (remove("models/layers.txt"), "models/layers.txt: missing"),
    "an output edited": (append("reports/history.csv", "9,9\n"), "reports/history.csv: changed"),
    "a figure less": (remove("reports/figures/samples.png"), "1 removed (samples.png)"),
    "a score edited": (append("reports/test.json", "\n"), "reports/test.json: changed"),
    "an object less": (lose_object, "models/model.keras: not in DVC's cache"),
    "data edited": (write("data/processed/y_train.npy", "x"), "data/processed/y_train.npy"),
    "no dvc.lock": (remove("dvc.lock"), "dvc.lock does not name it"),
    "a stage that dvc.lock lacks": (forget_stage, "cache, without a run\n    it has not run yet"),
    "another command": (edit_pipeline("plots", cmd="python -m x"), "cmd: python -E -m stages.run"),
    "a new dep": (
        edit_pipeline("plots", deps=["stages/plots", "stages/train"]),
        "stages/train: it was no dep before",
    ),
    "a dep less": (edit_pipeline("plots", deps=["stages/plots"]), NOTHING),
    "a param less": (edit_pipeline("evaluate", params=["dataset"]), NOTHING),
    "a new param": (edit_pipeline("plots", params=["plots", "seed"]), "seed: absent -> 0"),
    "a frozen stage": (
        both(edit_pipeline("train", frozen=True), set_values({"train.epochs": 5})),
        NOTHING,
    ),
    "a frozen stage without an output": (
        both(edit_pipeline("train", frozen=True), remove("models/layers.txt")),
        "models/layers.txt: missing",
    ),
    "a stage that always runs": (edit_pipeline("plots", always_changed=True), "it always runs"),
    "several": (
        both(
            set_values({"plots.resolution": 50}),
            append("stages/fetch/main.py", "#\n"),
            remove("reports/classes.json"),
        ),
        "reports/classes.json: missing",
    ),
}


def causes_by_dvc(project: Project) -> set[tuple[str, str, str]]:
    """Stage, kind and path of each cause that `dvc status` names; of params the file."""
    status: dict[str, list[Any]] = json.loads(project.dvc("status", "--json", errors=False))
    found = set()
    for stage, causes in status.items():
        for cause in causes:
            if isinstance(cause, str):
                found.add((stage, cause, ""))
            else:
                for kind, paths in cause.items():
                    for path, how in paths.items():
                        is_params = isinstance(how, dict) or path.endswith(".yaml")
                        name = "changed value" if is_params else kind
                        found.add((stage, name, path))
    return found


KINDS = {
    "value": "changed value", "dep": "changed deps", "out": "changed outs",
    "command": "changed command", "always": "always changed",
}  # fmt: skip


def causes_by_why(project: Project) -> set[tuple[str, str, str]]:
    """The same by tools.why, of what lies here; of a new stage nothing but its name."""
    found = set()
    with contextlib.chdir(project.folder):
        stages = read_stages()
        present = read_present(path for stage in stages for path in [*stage.deps, *stage.outs])
        for stage in stages:
            for cause in find_causes(stage, present, {}):
                if cause.kind == "new":
                    found.add((stage.name, "new", ""))
                    continue
                is_param = cause.kind == "value"
                files = [file for file in stage.params if cause.name.startswith(file)]
                path = (files or ["params.yaml"])[0] if is_param else cause.name
                path = "" if cause.kind in ("command", "always") else path
                found.add((stage.name, KINDS[cause.kind], path))
    return found


@pytest.mark.parametrize(("edit", "seen"), EDITS.values(), ids=EDITS)
def test_it_agrees_with_dvc_status(
    project: Project, edit: Callable[[Project], None], seen: str
) -> None:
    edit(project)
    said = project.call(WHY)
    assert seen in said
    by_why, by_dvc = causes_by_why(project), causes_by_dvc(project)
    new = {stage for stage, kind, _ in by_why if kind == "new"}
    assert {cause for cause in by_dvc if cause[0] not in new} == {
        cause for cause in by_why if cause[1] != "new"
    }
    assert {stage for stage, _, _ in by_dvc} == {stage for stage, _, _ in by_why}
    assert (NOTHING in said) == (by_dvc == set())


def plan(project: Project) -> dict[str, Step]:
    with contextlib.chdir(project.folder):
        return {step.name: step for step in make_plan()}


def outcomes_of(printed: str) -> dict[str, str]:
    """What `dvc repro` says that it did with each stage."""
    ran = dict.fromkeys(re.findall(r"Running stage '(\w+)'", printed), "runs")
    restored = dict.fromkeys(re.findall(r"Stage '(\w+)' is cached", printed), "restored")
    skipped = dict.fromkeys(re.findall(r"Stage '(\w+)' didn't change", printed), "nothing")
    return skipped | restored | ran


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(remove("models/layers.txt"), id="an output less"),
        pytest.param(append("reports/history.csv", "9,9\n"), id="a plot edited"),
        pytest.param(write("data/processed/y_test.npy", "x"), id="data edited"),
        pytest.param(lose_object, id="an object less"),
        pytest.param(remove("dvc.lock"), id="no dvc.lock"),
        pytest.param(append("stages/plots/main.py", "#\n"), id="the last stage's code"),
    ],
)
def test_what_dvc_repro_then_does(project: Project, edit: Callable[[Project], None]) -> None:
    """Also with the stages that `dvc status` names only because of an output before them."""
    edit(project)
    expected = {name: step.outcome for name, step in plan(project).items()}
    done = outcomes_of(project.dvc("repro"))
    assert {name: "nothing or runs" if o == "may run" else o for name, o in expected.items()} == {
        name: "nothing or runs" if expected[name] == "may run" else o for name, o in done.items()
    }
    assert NOTHING in project.call(WHY)


def test_what_has_run_before_comes_back(edited_project: Project) -> None:
    """The values of the commit before: DVC's run cache has them, so no stage runs."""
    edited_project.git("checkout", "--quiet", "params.yaml")
    expected = {name: step.outcome for name, step in plan(edited_project).items()}
    assert expected["train"] == "restored"
    assert "runs" not in expected.values()
    assert "train: comes back from DVC's cache, without a run" in edited_project.call(WHY)
    assert outcomes_of(edited_project.dvc("repro")) == expected


def test_those_that_follow_run_only_if_bytes_change(project: Project) -> None:
    append("stages/preprocess/split.py", "# a comment\n")(project)
    steps = plan(project)
    assert [step.outcome for step in steps.values()] == ["nothing", "runs"] + 3 * ["may run"]
    said = project.call(WHY)
    assert (
        "train: would run if preprocess changes data/processed/x_train.npy, "
        "data/processed/y_train.npy, data/processed/x_validation.npy and 1 more"
    ) in said
    done = outcomes_of(project.dvc("repro"))
    assert [done[name] for name in steps] == ["nothing", "runs"] + 3 * ["nothing"]


@pytest.fixture
def flowers(fresh_project: Project, tmp_path: Path) -> Project:
    """A data set of images in a folder, fetched and committed."""
    project = fresh_project.copy(tmp_path / "clone")
    for number in range(12):
        draw(tmp_path / f"pictures/{'ab'[number % 2]}/{number}.png", number)
    project.call("tools.dataset", "flowers", str(tmp_path / "pictures"), "--size", "12")
    project.edit({"dataset": "flowers", "preprocess.split": "stratified"})
    project.dvc("repro", "fetch")
    project.commit("Flowers")
    return project


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_images_are_counted_and_named(flowers: Project) -> None:
    images = flowers.folder / "data/flowers/images"
    for number in range(5):
        draw(images / f"a/new {number}.png", 100 + number)
    (images / "a/0.png").unlink()
    (images / "b/1.png").chmod(0o644)
    draw(images / "b/1.png", 200)
    said = flowers.call(WHY)
    counted = (
        "5 added ({0}a/new 0.png, {0}a/new 1.png, {0}a/new 2.png and 2 more), "
        "1 removed ({0}a/0.png), 1 changed ({0}b/1.png)"
    )
    assert f"data/flowers/images: {counted.format('')}" in said
    assert f"fetch: would run\n    data/flowers: {counted.format('images/')}" in said
    named = {stage for stage, _, _ in causes_by_dvc(flowers)}
    assert {"fetch", "data/flowers/images.dvc"} <= named
    flowers.call("tools.dataset", "flowers")
    said = flowers.call(WHY)
    assert "images.dvc:" not in said
    assert "1 changed (images/b/1.png" not in said  # images.dvc is the other changed file
    assert "2 changed (images.dvc, images/b/1.png)" in said


def test_images_that_are_not_here(flowers: Project) -> None:
    subprocess.run(["rm", "-r", str(flowers.folder / "data/flowers/images")], check=True)
    assert "data/flowers/images: missing; `dvc checkout`" in flowers.call(WHY)


def test_what_a_folder_held_may_be_unknown(project: Project) -> None:
    """Files that neither Git nor DVC keeps."""
    write("data/tiny/notes.txt", "a")(project)
    project.dvc("commit", "--force", "fetch")
    write("data/tiny/notes.txt", "b")(project)
    assert "data/tiny: changed; no commit and no cache says" in project.call(WHY)


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (write("dvc.lock", "<<<<<<< HEAD\n"), "git checkout --ours dvc.lock reports"),
        (write("dvc.lock", ""), "`git checkout -- dvc.lock` brings back"),
        (write("dvc.lock", "stages: 5\n"), "`git checkout -- dvc.lock` brings back"),
        (write("params.yaml", "a: b: c\n"), "params.yaml, line 1: not readable as YAML"),
        (edit_pipeline("plots", wdir="x"), "dvc.yaml: plots: expected always_changed"),
    ],
)
def test_what_cannot_be_read_is_an_error(
    project: Project, edit: Callable[[Project], None], cause: str
) -> None:
    edit(project)
    said = project.call(WHY, code=1)
    assert cause in said
    assert "Traceback" not in said


def test_it_takes_a_second_and_no_dvc(project: Project) -> None:
    append("stages/train/fitting.py", "#\n")(project)
    before = seconds_of_children()
    code = f"import sys, {WHY}.__main__ as why; why.main(); print('dvc' in sys.modules)"
    assert project.run("python", "-c", code).splitlines()[-1] == "False"
    assert seconds_of_children() - before < SECONDS
