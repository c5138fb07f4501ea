"""Sweeps: what a space may hold, and real trials on Ray, killed and interrupted on the way."""

import csv
import io
import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import ROOT, Project, needs_ray, tiny_images
from faults import Started, started
from servers import S3Server

from stages.run.inputs import fingerprint
from stages.run.lock import hold_lock
from stages.shared.errors import UserError
from sweeps import results, space
from sweeps.__main__ import read_sweep_inputs
from sweeps.results import Trial
from sweeps.space import (
    Dimension,
    decode_choices,
    encode_choices,
    list_corners,
    read_sweep,
    starting_point,
    with_values,
)
from tools.recipe import read_recipe
from tools.shared.imports import files_of_module, imported_names, parse_code, reached_files

SWEEP = {
    # The second network fails in every trial: its kernel is larger than the images.
    "space": {
        "model.name": {"choices": ["mlp", "cnn"]},
        "train.learning_rate": {"low": 0.002, "high": 0.02, "log": True},
        "model.mlp.dropout": {"choices": [[0.2, 0.0], [0.0, 0.0]]},
    },
    "trials": 3,
    "seeds": 2,
    "sampler_seed": 3,  # gives both networks
    "scheduler": {"epochs": 25, "grace": 25, "reduction": 2},
    "threads": 1,
    "memory": 1.0,
}
TEN_EPOCHS = {"epochs": 10, "grace": 10}


# The space


@pytest.fixture
def written(tmp_path: Path, monkeypatch):
    """A function that writes params.yaml and sweeps/params.yaml with edits, where they are read."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (tmp_path / "sweeps").mkdir()
    monkeypatch.chdir(tmp_path)

    def write(edits: dict[str, Any], **sweep: Any) -> None:
        Path("params.yaml").write_text(yaml.safe_dump(with_values(params, edits)), encoding="utf-8")
        Path("sweeps/params.yaml").write_text(yaml.safe_dump(SWEEP | sweep), encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("key", "dimension", "message"),
    [
        ("train.learning_rate", {"low": 0.1, "high": 20}, r"train\.learning_rate: .* found 20"),
        ("train.batch_size", {"low": 16, "high": 99}, None),
        ("train.batch_size", {"low": 32, "high": 256}, r"train\.batch_size: .* found 32\.0"),
        ("train.batch_size", {"low": 32, "high": 256}, r"train\.batch_size: .* add integer: true"),
        ("train.batch_size", {"low": 16.5, "high": 99.5}, r"train\.batch_size: .* found 16\.5"),
        ("train.warmup", {"low": 0, "high": 25}, "warmup takes 25.0 of 25 epochs"),
        ("train.schedule", {"choices": ["cosine", "cosinus"]}, r"train\.schedule: .*'cosinus'"),
        ("train.learningrate", {"low": 0.1, "high": 0.2}, r"train\.learningrate: unknown key"),
        ("model.mlp.units", {"choices": [[8, 4], [8]]}, "dropout has 2 values for 1 units"),
        ("train.threads", {"low": 1, "high": 2}, r"space\.train\.threads: `threads` gives"),
        ("train.epochs", {"low": 1, "high": 2}, r"space\.train\.epochs: scheduler\.epochs"),
        ("train.members", {"choices": [1, 2]}, r"space\.train\.members: a trial is a single"),
        ("seed", {"low": 1, "high": 2}, r"space\.seed: expected a key of train or model"),
        ("model.mlp.units.0", {"low": 8, "high": 9}, r"units\.0: .*a list is swept as a whole"),
        ("train.augmentation", {"choices": [1]}, "a whole section; name its keys: elastic, flip, "),
        ("train.warmup", {"low": 2, "high": 1}, "expected low and high, low below high"),
        ("train.warmup", {"low": 0, "high": 1, "log": True}, "log: expected low above 0"),
        ("train.warmup", {"low": 0, "choices": [1]}, "has choices and a range"),
        ("train.warmup", {"lo": 0, "high": 1}, r"space\.train\.warmup\.lo: unknown key"),
        ("train.warmup", {"low": 0.5, "high": 2, "integer": True}, "expected whole numbers"),
    ],
)
def test_a_space_with_a_forbidden_value_is_refused(
    written, key: str, dimension: dict[str, Any], message: str | None
) -> None:
    if message is None:
        dimension |= {"integer": True}
    written({}, space={key: dimension})
    if message is None:
        read_sweep()
        return
    with pytest.raises(UserError, match=message) as refusal:
        read_sweep()
    assert str(refusal.value).startswith("sweeps/params.yaml")


def test_values_that_fit_each_other_only_in_some_trials_are_refused(written) -> None:
    two = {
        "model.mlp.units": {"choices": [[8], [9]]},
        "model.mlp.dropout": {"choices": [[0], [0.1]]},
    }
    written({}, space=two)
    read_sweep()
    two["model.mlp.units"]["choices"].append([8, 4])
    written({}, space=two)
    with pytest.raises(UserError, match="dropout has 1 values for 2 units"):
        read_sweep()


@pytest.mark.parametrize(
    ("key", "value"), [("train.members", 3), ("train.refit", True)], ids=["members", "refit"]
)
def test_a_start_without_a_single_score_is_refused(written, key: str, value: object) -> None:
    written({key: value})
    with pytest.raises(
        UserError, match=rf"params\.yaml: {key}: found {str(value).lower()}, expected"
    ):
        read_sweep()


def test_each_network_of_a_trial_has_a_seed(written) -> None:
    written({"seed": 2**32 - 2}, seeds=2)
    read_sweep()
    written({"seed": 2**32 - 2}, seeds=3)
    with pytest.raises(UserError, match="expected the last one to be at most 4294967295"):
        read_sweep()


def test_too_many_corners_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(space, "CORNERS", 3)
    dimension = Dimension(low=1, high=2)
    assert len(list(list_corners({"train.a": dimension, "model.b": dimension}))) == 4
    with pytest.raises(UserError, match="4 combinations of extremes and choices in train"):
        list(list_corners({"train.a": dimension, "train.b": dimension}))


def test_values_come_back_from_the_search_as_they_were() -> None:
    dimensions = {"a": Dimension(choices=[[1, 2], "x", True, 0.5]), "b": Dimension(low=1, high=2)}
    for choice in [[1, 2], "x", True, 0.5]:
        values = {"a": choice, "b": 1.5}
        assert decode_choices(dimensions, encode_choices(dimensions, values)) == values


def test_the_first_trial_s_values_are_those_of_the_choices() -> None:
    space = {"train.label_smoothing": Dimension(choices=[0, 0.1])}
    (point,) = starting_point(space, {"train": {"label_smoothing": 0.0}})
    assert encode_choices(space, point) == {"train.label_smoothing": "0"}


def test_a_value_s_place_is_its_share_of_the_range() -> None:
    assert Dimension(low=1, high=3).place(1.5) == 0.25
    assert Dimension(low=0.01, high=1, log=True).place(0.1) == pytest.approx(0.5)
    assert Dimension(choices=["a", "b", "c"]).place("c") == 1


def test_a_sweep_s_inputs_are_what_its_code_uses(
    finished_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What train consists of, the sweep's own modules, and no test array."""
    monkeypatch.chdir(finished_project.folder)
    own = set(Path("sweeps").glob("*.py"))
    imported = {name for path in own for name in imported_names(parse_code(path), "sweeps")}
    of_stages = {file for name in imported for file in files_of_module(name)}
    docstrings_alone = {Path("stages/__init__.py"), Path("stages/shared/__init__.py")}
    without_effect = docstrings_alone | set(Path("stages/run").glob("*.py"))
    files = {Path(path) for path in read_sweep_inputs().files}
    assert (own | of_stages | reached_files("train")) - without_effect <= files
    arrays = {
        Path(f"data/processed/{kind}_{split}.npy")
        for kind in "xy"
        for split in ("train", "validation")
    }
    assert {file for file in files if file.suffix != ".py"} == arrays


# What is left of a sweep


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


SCORES = {"validation_accuracy": 0.9, "validation_loss": 0.3, "epochs": 4}


def ended_as(how: str, rate: float, **scores: float) -> Trial:
    failure = "diverged" if how == "failed" else ""
    return Trial({"train.learning_rate": rate}, SCORES | scores, how, failure)


def test_the_best_is_the_finished_trial_of_the_highest_accuracy_then_the_lowest_loss() -> None:
    best = ended_as("finished", 0.3, validation_loss=0.2)
    others = [
        ended_as("finished", 0.1, validation_accuracy=0.8, validation_loss=0.1),
        ended_as("finished", 0.2),
        ended_as("stopped", 0.4, validation_accuracy=0.99),
        ended_as("failed", 0.5, validation_accuracy=1.0),
    ]
    assert results.choose_best([*others[:2], best, *others[2:]]) == best
    with pytest.raises(UserError, match="no trial finished; the first reason: diverged"):
        results.choose_best(others[2:])


def test_a_stopped_or_failed_trial_is_not_the_best_so_far(tmp_path: Path) -> None:
    trials = [
        ended_as("stopped", 0.1, validation_accuracy=0.99),
        ended_as("finished", 0.2),
        ended_as("failed", 0.3),
    ]
    dimensions = {"train.learning_rate": Dimension(low=0.1, high=0.3)}
    results.write_trials(trials, dimensions, tmp_path / "trials.csv")
    results.write_points(trials, dimensions, tmp_path / "values.json")
    rows = table_of(tmp_path / "trials.csv")
    assert [row["best_so_far"] for row in rows] == ["", "0.9", "0.9"]
    points = json.loads((tmp_path / "values.json").read_text(encoding="utf-8"))
    assert [point["place"] for point in points] == [0, 0.5]


def test_the_best_values_are_a_recipe(written, tmp_path: Path) -> None:
    written({"model.mlp.units": [7, 5]})
    start = read_sweep()[1]
    Path("recipes.yaml").write_text((ROOT / "recipes.yaml").read_text(encoding="utf-8"))
    results.write_best(ended_as("finished", 0.25), start, Path("sweeps/best.yaml"))
    values = read_recipe("best", Path("sweeps/best.yaml"))
    assert values["train.learning_rate"] == 0.25
    assert values["model.mlp.units"] == [7, 5]
    assert values["train.epochs"] == SWEEP["scheduler"]["epochs"]


# When a sweep runs: the command itself, with made-up trials in the place of Ray's

COMMAND = ("python", "-m", "sweeps")
NOTHING = "Nothing to do: sweeps/ has the results of these inputs\n"
RESULTS = ("trials.csv", "values.json", "best.yaml", "made_from.json")
GIB = 2**30


class Searches:
    """A project whose sweeps end at once, with `states` for their trials."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.names: list[str] = []  # of the sweeps that were started
        self.states = ["finished", "stopped", "failed"]
        self.meanwhile: Callable[[], object] = lambda: None

    def run_trials(
        self, _sweep, _start, _training, _validation, _background, storage: str, name: str
    ):
        self.names.append(name)
        Path(storage, name).mkdir(parents=True, exist_ok=True)
        self.meanwhile()
        values = {
            "model.name": "mlp", "train.learning_rate": 0.004, "model.mlp.dropout": [0.0, 0.0],
        }  # fmt: skip
        return [Trial(values, SCORES, state, "") for state in self.states]

    def sweep(self, code: int = 0) -> str:
        return self.project.call("sweeps", code=code)

    def results(self) -> dict[str, bytes]:
        paths = (self.project.folder / "sweeps" / name for name in RESULTS)
        return {path.name: path.read_bytes() for path in paths if path.exists()}

    def kept(self) -> list[str]:
        """The sweeps of which there is something left to resume from."""
        return [path.name for path in self.project.folder.glob(".dvc/tmp/stages/sweep/*")]


@pytest.fixture
def searches(project: Project, monkeypatch: pytest.MonkeyPatch) -> Searches:
    found = Searches(with_tiny_sweep(project))
    node = {"Alive": True, "NodeManagerAddress": "here"}
    resources = {"Resources": {"CPU": 2.0, "memory": 8 * GIB}}
    monkeypatch.setattr("ray.init", lambda **_: None)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    monkeypatch.setattr("ray.nodes", lambda: [node | resources])
    monkeypatch.setattr("sweeps.search.run_trials", found.run_trials)
    return found


@pytest.fixture
def arrays_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """No `dvc status`, which takes half a second."""
    monkeypatch.setattr("sweeps.__main__.refuse_stale_arrays", lambda: None)


def with_tiny_sweep(project: Project) -> Project:
    (project.folder / "sweeps/params.yaml").write_text(yaml.safe_dump(SWEEP), encoding="utf-8")
    return project


@needs_ray
def test_the_same_inputs_again_do_nothing_and_say_so(searches: Searches) -> None:
    searches.sweep()
    first = searches.results()
    assert first.keys() == {*RESULTS}
    assert searches.sweep() == NOTHING
    assert len(searches.names) == 1
    assert searches.results() == first
    assert searches.kept() == []


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
def test_results_say_what_they_were_made_from(searches: Searches) -> None:
    searches.sweep()
    record = json.loads(searches.results()["made_from.json"])
    assert record["fingerprint"] == searches.names[0]
    values = record["values"]
    assert values["train.learning_rate"] == 0.001
    assert values["model.cnn.dropout"] == 0.3
    assert values["sweeps/params.yaml:trials"] == 3
    assert values["sweeps/params.yaml:space.train.learning_rate.low"] == 0.002
    assert "sweeps/params.yaml:memory" not in values
    assert {"stages/train/fitting.py", "sweeps/search.py", "data/processed/x_train.npy"} <= {
        *record["files"]
    }
    assert record["files"] == sorted(record["files"])


@pytest.fixture(scope="module")
def unswept(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the sweep above. Leave it as it is."""
    return with_tiny_sweep(finished_project.copy(tmp_path_factory.mktemp("unswept") / "clone"))


@pytest.mark.parametrize(
    ("path", "old", "new", "starts"),
    [
        ("sweeps/params.yaml", "high: 0.02", "high: 0.03", True),
        ("sweeps/params.yaml", "trials: 3", "trials: 4", True),
        ("sweeps/params.yaml", "epochs: 25", "epochs: 26", True),
        ("sweeps/params.yaml", "threads: 1", "threads: 2", True),
        ("sweeps/params.yaml", "memory: 1.0", "memory: 0.5", False),
        ("sweeps/params.yaml", "memory: 1.0", "memory: 1.0  # GiB", False),
        ("params.yaml", "learning_rate: 0.001", "learning_rate: 0.002", True),
        ("params.yaml", "seed: 0", "seed: 1", True),
        ("params.yaml", "dropout: 0.3", "dropout: 0.2", True),  # of the network not chosen
        ("params.yaml", "resolution: 40", "resolution: 50", False),
        ("stages/train/fitting.py", '"""', '"""Edited. ', True),
        ("stages/shared/scores.py", '"""', '"""Edited. ', True),
        ("sweeps/search.py", '"""', '"""Edited. ', True),
        ("stages/run/lock.py", '"""', '"""Edited. ', False),
        ("stages/evaluate/main.py", '"""', '"""Edited. ', False),
        ("sweeps/__init__.py", '"""', '"""Edited. ', True),
    ],
)
def test_an_edit_starts_another_sweep_if_it_can_change_its_results(
    unswept: Project, monkeypatch: pytest.MonkeyPatch, path: str, old: str, new: str, starts: bool
) -> None:
    monkeypatch.chdir(unswept.folder)
    before = fingerprint(read_sweep_inputs(), {})
    text = unswept.read(path)
    assert old in text
    Path(path).write_text(text.replace(old, new, 1), encoding="utf-8")
    after = fingerprint(read_sweep_inputs(), {})
    Path(path).write_text(text, encoding="utf-8")
    assert (after != before) == starts
    assert fingerprint(read_sweep_inputs(), {}) == before


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
def test_an_edited_space_starts_another_sweep_and_memory_does_not(searches: Searches) -> None:
    searches.sweep()
    path = searches.project.folder / "sweeps/params.yaml"
    path.write_text(yaml.safe_dump(SWEEP | {"memory": 2.0}), encoding="utf-8")
    assert searches.sweep() == NOTHING
    path.write_text(yaml.safe_dump(SWEEP | {"trials": 2}), encoding="utf-8")
    assert searches.sweep() == ""
    assert len({*searches.names}) == 2
    record = json.loads(searches.results()["made_from.json"])
    assert record["values"]["sweeps/params.yaml:trials"] == 2


@needs_ray
def test_other_arrays_start_another_sweep_once_they_are_there(searches: Searches) -> None:
    searches.sweep()
    searches.project.edit({"preprocess.split": "stratified"})
    assert searches.sweep(code=1) == (
        "sweep: expected current arrays, but preprocess would run again: "
        "`dvc repro preprocess` first\n"
    )
    searches.project.dvc("repro", "preprocess")
    assert searches.sweep() == ""
    assert len({*searches.names}) == 2


@needs_ray
def test_a_stale_fetch_is_refused(searches: Searches) -> None:
    dataset = yaml.safe_load(searches.project.read("data/tiny/dataset.yaml"))
    dataset["files"]["test_labels"]["size"] += 1
    searches.project.write_dataset("tiny", dataset)
    assert (
        "but fetch and preprocess would run again: `dvc repro preprocess` first"
        in searches.sweep(code=1)
    )
    assert searches.names == []


def test_before_the_first_repro_a_sweep_is_refused(fresh_project: Project) -> None:
    output = fresh_project.call("sweeps", code=1)
    assert "but fetch and preprocess would run again: `dvc repro preprocess` first" in output


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
@pytest.mark.parametrize("name", RESULTS)
def test_without_all_of_its_results_a_sweep_runs_again(searches: Searches, name: str) -> None:
    searches.sweep()
    first = searches.results()
    (searches.project.folder / "sweeps" / name).unlink()
    searches.sweep()
    assert searches.names == [searches.names[0]] * 2
    assert searches.results() == first


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
@pytest.mark.parametrize("record", ["", "[]", "{}", '{"fingerprint": 1}'])
def test_a_damaged_record_counts_as_none(searches: Searches, record: str) -> None:
    searches.sweep()
    path = searches.project.folder / "sweeps/made_from.json"
    path.write_text(record, encoding="utf-8")
    searches.sweep()
    assert len(searches.names) == 2
    assert json.loads(path.read_text(encoding="utf-8"))["fingerprint"] == searches.names[0]


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
def test_an_edit_while_the_sweep_runs_is_not_recorded(searches: Searches) -> None:
    project = searches.project
    searches.meanwhile = lambda: project.edit({"train.batch_size": 9})
    output = searches.sweep(code=1)
    assert "sweep: changed while this ran: train.batch_size." in output
    assert searches.results() == {}
    assert searches.kept() == searches.names
    project.git("checkout", "--quiet", "--", "params.yaml")
    searches.meanwhile = lambda: None
    searches.sweep()
    assert searches.names == [searches.names[0]] * 2  # so that Ray resumes it
    assert searches.kept() == []


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
def test_trials_of_which_none_finished_leave_no_results(searches: Searches) -> None:
    searches.states = ["failed", "stopped"]
    assert "sweep: no trial finished; the first reason: " in searches.sweep(code=1)
    assert searches.results() == {}
    assert searches.kept() == []  # the next run tries them again


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
def test_one_sweep_runs_at_a_time(searches: Searches) -> None:
    with hold_lock(searches.project.folder / ".dvc/tmp/stages/sweep.lock"):
        output = searches.sweep(code=1)
    assert f"sweep: already running, as process {os.getpid()}." in output
    assert searches.names == []


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
def test_a_trial_that_no_machine_has_room_for_is_refused(searches: Searches) -> None:
    large = yaml.safe_dump(SWEEP | {"memory": 1e6})
    (searches.project.folder / "sweeps/params.yaml").write_text(large, encoding="utf-8")
    assert searches.sweep(code=1) == (
        "sweep: sweeps/params.yaml: a trial takes 1 threads and 1000000.0 GiB; "
        "the machines have 2 and 8.0: lower them\n"
    )


@needs_ray
@pytest.mark.usefixtures("arrays_are_current")
def test_a_storage_that_only_one_machine_would_find_is_refused(
    searches: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = searches.project.environment
    searches.project.environment = own | {"SWEEP_STORAGE": "shared/sweeps"}
    output = searches.sweep(code=1)
    assert "SWEEP_STORAGE: expected a folder's whole path or a bucket" in output
    assert "found shared/sweeps" in output
    searches.project.environment = own
    nodes = [
        {"Alive": True, "NodeManagerAddress": name, "Resources": {"CPU": 2.0, "memory": 8 * GIB}}
        for name in ("here", "there")
    ]
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    assert "the cluster has 2 machines: expected SWEEP_STORAGE" in searches.sweep(code=1)
    assert searches.names == []


# Trials on Ray


def sweeping(project: Project) -> Project:
    """The project with the sweep above, and a checkpoint after each epoch."""
    with_tiny_sweep(project).edit(
        {"train.batch_size": 8, "model.cnn.kernels": [11, 3], "train.learning_rate": 0.005}
    )
    path = project.folder / "stages/train/checkpoints.py"
    code = path.read_text(encoding="utf-8")
    assert "CHECKPOINT_SECONDS = 5.0" in code
    path.write_text(
        code.replace("CHECKPOINT_SECONDS = 5.0", "CHECKPOINT_SECONDS = 0.0"), encoding="utf-8"
    )
    return project


def trials_of(project: Project) -> dict[str, dict[str, Any]]:
    """What Ray's storage says of each trial now: its status, failures and last result."""
    newest = max(
        project.folder.glob(".dvc/tmp/stages/sweep/*/experiment_state-*.json"), default=None
    )
    try:
        stored = json.loads(newest.read_text(encoding="utf-8"))["trial_data"] if newest else []
    except (OSError, ValueError):  # it is being replaced
        stored = []
    pairs = [(json.loads(fixed), json.loads(changing)) for fixed, changing in stored]
    return {fixed["trial_id"]: fixed | changing for fixed, changing in pairs}


def ended(project: Project) -> dict[str, Any]:
    return {
        name: trial["last_result"]
        for name, trial in trials_of(project).items()
        if trial["status"] == "TERMINATED"
    }


def running(project: Project, epochs: int, not_by: int = 0) -> dict[str, Any]:
    """The last result of a running trial after that many epochs, in another process than that."""
    for trial in trials_of(project).values():
        last = trial["last_result"]
        of_another = not not_by or (trial["num_failures"] and last["pid"] != not_by)
        if trial["status"] == "RUNNING" and last.get("epochs", 0) >= epochs and of_another:
            return last
    return {}


@pytest.fixture(scope="module")
def swept(finished_project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A sweep that lost a worker, was interrupted, lost its driver, and was run to its end."""
    project = sweeping(finished_project.copy(tmp_path_factory.mktemp("swept") / "clone"))
    found: dict[str, Any] = {"project": project}
    with started(project, *COMMAND) as run:
        before = until(run, lambda: running(project, 3))
        os.kill(before["pid"], signal.SIGKILL)
        after = until(run, lambda: running(project, 3, not_by=before["pid"]))
        found |= {"before the kill": before, "after the kill": after}
        found["interrupted"] = run.send(signal.SIGINT)
        found["code"] = run.process.returncode
    with started(project, *COMMAND) as run:
        worker = until(run, lambda: ended(project) and running(project, 1))["pid"]
        found["ended before"] = ended(project)
        run.send(signal.SIGKILL)
        found["worker of the killed driver"] = worker
    with started(project, *COMMAND) as run:
        run.until("resuming")
        found["ended after"] = until(run, lambda: ended(project))
        run.ended()
        found["output"] = run.output()
    found["rows"] = table_of(project.folder / "sweeps/trials.csv")
    return found


def until(run: Started, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `look` finds as soon as it finds something."""
    seen: list[dict[str, Any]] = [{}]
    run.until(lambda: seen.append(look()) or seen[-1], every=0.05)
    return seen[-1]


@needs_ray
def test_a_killed_worker_s_trial_resumes_from_its_checkpoint(swept) -> None:
    before, after = swept["before the kill"], swept["after the kill"]
    assert after["pid"] != before["pid"]
    assert after["epochs"] >= before["epochs"]
    assert after["iterations_since_restore"] < after["training_iteration"]
    assert "its process was lost; it restarts from its checkpoint" in swept["interrupted"]


@needs_ray
def test_ctrl_c_ends_the_sweep_with_one_line(swept) -> None:
    assert swept["code"] != 0
    assert "sweep: interrupted; the next `python -m sweeps` resumes" in swept["interrupted"]
    assert "Traceback" not in swept["interrupted"]


@needs_ray
def test_a_killed_driver_s_ended_trials_are_kept(swept) -> None:
    assert re.search(r"An interrupted sweep ended [12] of 3 trials: resuming", swept["output"])
    assert swept["ended before"]
    assert swept["ended before"].items() <= swept["ended after"].items()
    assert not Path(f"/proc/{swept['worker of the killed driver']}").exists()


@needs_ray
def test_every_trial_has_a_row_and_a_failed_one_its_reason(swept) -> None:
    rows = swept["rows"]
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    assert rows[0]["train.learning_rate"] == "0.005"  # that of params.yaml comes first
    states = {(row["model.name"], row["state"]) for row in rows}
    assert states == {("mlp", "finished"), ("cnn", "failed")}
    for row in rows:
        if row["state"] == "finished":
            assert row["epochs"] == "50"
            assert 0 < float(row["validation_accuracy"]) <= float(row["best_so_far"]) <= 1
        else:
            assert (
                "a kernel of 11. Kernels that fit images of 12 x 10 pixels: [10" in row["failure"]
            )
            assert row["validation_accuracy"] == row["validation_loss"] == ""


@needs_ray
def test_a_second_run_does_nothing_and_the_pipeline_does_not_look(swept) -> None:
    project = swept["project"]
    assert project.run(*COMMAND) == NOTHING
    assert "sweep" not in project.dvc("repro", "--dry")
    assert not (project.folder / ".dvc/tmp/stages/sweep").exists()
    files = {"trials.csv": ("best_so_far", "trial"), "values.json": ("sweep_values", "place")}
    for file, (template, x) in files.items():
        shown = ("plots", "show", f"sweeps/{file}", "-t", template, "-x", x, "--json")
        plots = json.loads(project.dvc(*shown, "-y", "validation_accuracy", errors=False))
        (drawn,) = plots["data"][f"sweeps/{file}"]
        assert drawn["content"]["data"]["values"]
        assert "<DVC_METRIC" not in str(drawn["content"])


@needs_ray
def test_a_trial_s_score_is_the_one_that_train_gives(swept, tmp_path: Path) -> None:
    project: Project = swept["project"].copy(tmp_path / "clone")
    best = yaml.safe_load(project.read("sweeps/best.yaml"))["best"]
    assert best["train"]["threads"] == 1  # the trials' own, not that of params.yaml
    finished = [row for row in swept["rows"] if row["state"] == "finished"]
    row = max(
        finished, key=lambda r: (float(r["validation_accuracy"]), -float(r["validation_loss"]))
    )
    assert str(best["train"]["learning_rate"]) == row["train.learning_rate"]
    scores = []
    for seed in (0, 1):
        project.edit({"seed": seed, "train": best["train"], "model.mlp": best["model"]["mlp"]})
        assert "Running stage 'train'" in project.dvc("repro", "train")
        scores.append(json.loads(project.read("reports/validation.json")))
    for name in ("accuracy", "loss"):
        mean = round((scores[0][name] + scores[1][name]) / 2, 4)
        assert float(row[f"validation_{name}"]) == mean


@needs_ray
def test_a_cluster_that_is_not_there_is_named(unswept: Project) -> None:
    environment = unswept.environment | {"RAY_ADDRESS": "127.0.0.1:1"}
    output = Project(unswept.folder, environment).run(*COMMAND, code=1)
    assert "expected a Ray cluster at RAY_ADDRESS, HOST:PORT, and its token" in output
    assert "found RAY_ADDRESS=127.0.0.1:1: [Errno 111] Connection refused" in output
    assert "Traceback" not in output


@needs_ray
def test_checkpoints_and_results_may_go_to_a_bucket(
    finished_project: Project, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    server = S3Server(tmp_path / "server")
    project = sweeping(finished_project.copy(tmp_path / "clone"))
    short = SWEEP | {"trials": 1, "seeds": 1, "scheduler": SWEEP["scheduler"] | TEN_EPOCHS}
    (project.folder / "sweeps/params.yaml").write_text(yaml.safe_dump(short), encoding="utf-8")
    project.environment = project.environment | {
        "SWEEP_STORAGE": "s3://store/sweeps",
        "AWS_ENDPOINT_URL": server.address,
        "AWS_ACCESS_KEY_ID": server.own["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": server.own["secret_access_key"],
        "NO_PROXY": "127.0.0.1",
    }

    def stored() -> list[str]:
        listed = server.client.list_objects_v2(Bucket="store", Prefix="sweeps/")
        return [entry["Key"] for entry in listed.get("Contents", [])]

    try:
        with started(project, *COMMAND) as run:
            until(run, lambda: any(key.endswith(".npz") for key in stored()))
            run.send(signal.SIGKILL)
        assert "resuming" in project.run(*COMMAND)
        assert len(table_of(project.folder / "sweeps/trials.csv")) == short["trials"]
        assert set(stored()) <= {"sweeps/"}  # what was its own is gone
    finally:
        server.stop()


@needs_ray
@pytest.mark.parametrize(
    ("last", "status", "expected"),
    [
        ({"ended": True}, "TERMINATED", ("finished", "")),
        ({"ended": False}, "TERMINATED", ("stopped", "")),
        ({"ended": False, "failure": "why"}, "TERMINATED", ("failed", "why")),
        ({}, "ERROR", ("failed", "each time that it was started: its process was lost")),
    ],
)
def test_how_a_trial_ended(last: dict[str, Any], status: str, expected: tuple[str, str]) -> None:
    from sweeps.progress import describe_end  # noqa: PLC0415  # Ray is an extra

    nothing = {"pickled_error_file": None, "get_pickled_error": lambda: None}
    assert describe_end(SimpleNamespace(last_result=last, status=status, **nothing)) == expected


@needs_ray
def test_an_error_of_the_machine_is_named(finished_project: Project, tmp_path: Path) -> None:
    project = sweeping(finished_project.copy(tmp_path / "clone"))
    path = project.folder / "sweeps/search.py"
    code = path.read_text(encoding="utf-8")
    line = "        values = with_values(start, decode_choices(sweep.space, config))\n"
    assert line in code
    failing = '        raise OSError(28, "No space left on device", "/there")\n'
    path.write_text(code.replace(line, failing), encoding="utf-8")
    once = yaml.safe_dump(SWEEP | {"trials": 1})
    (project.folder / "sweeps/params.yaml").write_text(once, encoding="utf-8")
    output = project.run(*COMMAND, code=1)
    said = "OSError: [Errno 28] No space left on device: '/there'"
    again = re.findall(r"^trial 1: (.*); it restarts from its checkpoint$", output, re.MULTILINE)
    assert again == [said] * 3
    last = re.findall("the first reason: (.*)", output)
    assert last == [f"each time that it was started: {said}"]


def run_trial_here(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> list[dict[str, Any]]:
    """What a trial of two seeds tells, run as Ray runs it, but in this process.

    `arguments` are the values, the training and the validation images, and the background.
    """
    from sweeps import trial  # noqa: PLC0415  # imports Ray and TensorFlow

    told: list[dict[str, Any]] = []
    session = SimpleNamespace(
        get_checkpoint=lambda: None,
        report=lambda scores, **_: told.append(scores),
        Checkpoint=SimpleNamespace(from_directory=lambda folder: folder),
    )
    monkeypatch.setattr(trial, "tune", session)
    monkeypatch.setattr(trial, "use_threads", lambda _: None)  # this process has some
    values, training, validation, background = arguments
    trial.run_trial(values, training, validation, 2, background)
    return told


@needs_ray
def test_a_trial_that_patience_stops_has_ended(
    finished_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a rate of almost 0 no epoch is better than the first, to five decimals."""
    values = yaml.safe_load(finished_project.read("params.yaml"))
    values["train"] |= {"epochs": 9, "patience": 2, "keep": "best", "learning_rate": 1e-12}
    told = run_trial_here(monkeypatch, values, tiny_images(48, seed=1), tiny_images(24, seed=2), 0)
    assert [(each["epochs"], each["ended"]) for each in told] == [
        (1, False), (2, False), (3, False), (9, False),
        (10, False), (11, False), (12, False), (18, True),
    ]  # fmt: skip


@needs_ray
def test_a_trial_takes_colour(finished_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Augmentation moves the background's colour in."""
    values = yaml.safe_load(finished_project.read("params.yaml"))
    values["model"]["name"] = "cnn"
    values["train"] |= {"epochs": 2}
    values["train"]["augmentation"] |= {"rotation": 10, "translation": 1}
    images, labels = tiny_images(48, seed=1)
    part = np.stack([images, images // 2, 255 - images], axis=-1), labels
    told = run_trial_here(monkeypatch, values, part, part, [10, 120, 250])
    assert [(each["epochs"], each["ended"]) for each in told] == [
        (1, False), (2, False), (3, False), (4, True),
    ]  # fmt: skip
    assert all(0 <= each["validation_accuracy"] <= 1 for each in told)
