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

import pytest
import yaml
from conftest import ROOT, Project, needs_ray
from faults import Started, started
from servers import S3Server
from test_pipeline import WITHOUT_EFFECT, imported, ran

from stages.shared.errors import UserError
from sweeps import results, space
from sweeps.results import Trial
from sweeps.space import (
    Dimension,
    corners,
    decode_choices,
    encode_choices,
    read_sweep,
    starting_point,
    with_values,
)
from tools.recipe import recipe

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
    assert len(list(corners({"train.a": dimension, "model.b": dimension}))) == 4
    with pytest.raises(UserError, match="4 combinations of extremes and choices in train"):
        list(corners({"train.a": dimension, "train.b": dimension}))


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


def test_dvc_yaml_of_the_sweep_declares_what_its_code_uses() -> None:
    """What train's modules need, the sweep's own modules, and no test array."""
    declared = yaml.safe_load((ROOT / "sweeps/dvc.yaml").read_text(encoding="utf-8"))
    deps = declared["stages"]["sweep"]["deps"]
    own = {path.stem for path in (ROOT / "sweeps").glob("*.py")} - {"__init__"}
    arrays = {
        f"data/processed/{kind}_{split}.npy" for kind in "xy" for split in ("train", "validation")
    }
    assert set(deps) == arrays | {f"sweeps/{name}.py" for name in own} | {
        f"stages/{name}.py" for name in imported("train") - WITHOUT_EFFECT
    }


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
    assert results.best_trial([*others[:2], best, *others[2:]]) == best
    with pytest.raises(UserError, match="no trial finished; the first reason: diverged"):
        results.best_trial(others[2:])


def test_a_stopped_or_failed_trial_is_not_the_best_so_far(tmp_path: Path) -> None:
    trials = [
        ended_as("stopped", 0.1, validation_accuracy=0.99),
        ended_as("finished", 0.2),
        ended_as("failed", 0.3),
    ]
    dimensions = {"train.learning_rate": Dimension(low=0.1, high=0.3)}
    results.write_trials(trials, dimensions, tmp_path / "trials.csv")
    results.write_parameters(trials, dimensions, tmp_path / "parameters.json")
    rows = table_of(tmp_path / "trials.csv")
    assert [row["best_so_far"] for row in rows] == ["", "0.9", "0.9"]
    points = json.loads((tmp_path / "parameters.json").read_text(encoding="utf-8"))
    assert [point["place"] for point in points] == [0, 0.5]


def test_the_best_values_are_a_recipe(written, tmp_path: Path) -> None:
    written({"model.mlp.units": [7, 5]})
    start = read_sweep()[1]
    Path("recipes.yaml").write_text((ROOT / "recipes.yaml").read_text(encoding="utf-8"))
    results.write_best(ended_as("finished", 0.25), start, Path("sweeps/best.yaml"))
    values = recipe("best", Path("sweeps/best.yaml"))
    assert values["train.learning_rate"] == 0.25
    assert values["model.mlp.units"] == [7, 5]
    assert values["train.epochs"] == SWEEP["scheduler"]["epochs"]


# Trials on Ray


def sweeping(project: Project) -> Project:
    """The project with the sweep above, and a checkpoint after each epoch."""
    (project.folder / "sweeps/params.yaml").write_text(yaml.safe_dump(SWEEP), encoding="utf-8")
    project.edit(
        {"train.batch_size": 8, "model.cnn.kernels": [11, 3], "train.learning_rate": 0.005}
    )
    path = project.folder / "stages/checkpoints.py"
    code = path.read_text(encoding="utf-8")
    assert "SECONDS_APART = 5.0" in code
    path.write_text(code.replace("SECONDS_APART = 5.0", "SECONDS_APART = 0.0"), encoding="utf-8")
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
    command = ("dvc", "repro", "sweeps/dvc.yaml")
    with started(project, *command) as run:
        before = until(run, lambda: running(project, 3))
        os.kill(before["pid"], signal.SIGKILL)
        after = until(run, lambda: running(project, 3, not_by=before["pid"]))
        found |= {"before the kill": before, "after the kill": after}
        found["interrupted"] = run.send(signal.SIGINT)
        found["code"] = run.process.returncode
    with started(project, *command) as run:
        worker = until(run, lambda: ended(project) and running(project, 1))["pid"]
        found["ended before"] = ended(project)
        run.send(signal.SIGKILL)
        found["worker of the killed driver"] = worker
    with started(project, *command) as run:
        run.until("going on")
        found["ended after"] = until(run, lambda: ended(project))
        run.ended()
        found["output"] = run.output()
    found["rows"] = table_of(project.folder / "sweeps/trials.csv")
    return found


def until(run: Started, look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `look` finds as soon as it finds something."""
    seen: list[dict[str, Any]] = [{}]
    run.until(lambda: seen.append(look()) or seen[-1])
    return seen[-1]


@needs_ray
def test_a_killed_worker_s_trial_goes_on_from_its_checkpoint(swept) -> None:
    before, after = swept["before the kill"], swept["after the kill"]
    assert after["pid"] != before["pid"]
    assert after["epochs"] >= before["epochs"]
    assert after["iterations_since_restore"] < after["training_iteration"]
    assert "its process was lost; it starts again" in swept["interrupted"]


@needs_ray
def test_ctrl_c_ends_the_sweep_with_one_line(swept) -> None:
    assert swept["code"] != 0
    assert (
        "sweep: interrupted; the next `dvc repro sweeps/dvc.yaml` goes on" in swept["interrupted"]
    )
    assert "Traceback" not in swept["interrupted"]


@needs_ray
def test_a_killed_driver_s_ended_trials_are_kept(swept) -> None:
    assert re.search(r"An interrupted sweep ended [12] of 3 trials: going on", swept["output"])
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
            assert "with a kernel of 11: give fewer or smaller ones" in row["failure"]
            assert row["validation_accuracy"] == row["validation_loss"] == ""


@needs_ray
def test_a_second_run_does_nothing_and_the_pipeline_s_own_does_not_look(swept) -> None:
    project = swept["project"]
    assert "Running" not in project.dvc("repro", "sweeps/dvc.yaml")
    assert "sweep" not in project.dvc("repro", "--dry")
    assert not (project.folder / ".dvc/tmp/stages/sweep").exists()
    files = {"trials.csv": ("best_so_far", "trial"), "parameters.json": ("parameters", "place")}
    for file, (template, x) in files.items():
        shown = ("plots", "show", f"sweeps/{file}", "-t", template, "-x", x, "--json")
        plots = json.loads(project.dvc(*shown, "-y", "validation_accuracy", errors=False))
        (drawn,) = plots["data"][f"sweeps/{file}"]
        assert drawn["content"]["data"]["values"]
        assert "<DVC_METRIC" not in str(drawn["content"])


@needs_ray
def test_a_trial_s_score_is_the_one_that_train_gives(swept, tmp_path: Path) -> None:
    project: Project = swept["project"].copy(tmp_path / "clone")
    project.environment = project.environment | dict.fromkeys(
        ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
    )
    best = yaml.safe_load(project.read("sweeps/best.yaml"))["best"]
    finished = [row for row in swept["rows"] if row["state"] == "finished"]
    row = max(
        finished, key=lambda r: (float(r["validation_accuracy"]), -float(r["validation_loss"]))
    )
    assert str(best["train"]["learning_rate"]) == row["train.learning_rate"]
    scores = []
    for seed in (0, 1):
        project.edit({"seed": seed, "train": best["train"], "model.mlp": best["model"]["mlp"]})
        assert "train" in ran(project.dvc("repro", "train"))
        scores.append(json.loads(project.read("reports/validation.json")))
    for name in ("accuracy", "loss"):
        mean = round((scores[0][name] + scores[1][name]) / 2, 4)
        assert float(row[f"validation_{name}"]) == mean


@needs_ray
def test_a_cluster_that_is_not_there_is_named(swept) -> None:
    project: Project = swept["project"]
    environment = project.environment | {"RAY_ADDRESS": "127.0.0.1:1"}
    command = ("python", "-m", "sweeps.sweep", "data/processed", "sweeps")
    output = Project(project.folder, environment).run(*command, code=1)
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
    short = SWEEP | {"trials": 2, "seeds": 1}
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
        with started(project, "dvc", "repro", "sweeps/dvc.yaml") as run:
            until(run, lambda: any(key.endswith(".npz") for key in stored()))
            run.send(signal.SIGKILL)
        assert "going on" in project.dvc("repro", "sweeps/dvc.yaml")
        assert len(table_of(project.folder / "sweeps/trials.csv")) == short["trials"]
        assert set(stored()) <= {"sweeps/"}  # what was its own is gone
    finally:
        server.stop()


@needs_ray
def test_a_storage_that_only_one_machine_would_find_is_refused(swept) -> None:
    environment = swept["project"].environment | {"SWEEP_STORAGE": "shared/sweeps"}
    command = ("python", "-m", "sweeps.sweep", "data/processed", "sweeps")
    output = Project(swept["project"].folder, environment).run(*command, code=1)
    assert "SWEEP_STORAGE: expected a folder's whole path or a bucket" in output
    assert "found shared/sweeps" in output


@needs_ray
def test_a_trial_that_no_machine_has_room_for_is_refused(swept, tmp_path: Path) -> None:
    project: Project = swept["project"].copy(tmp_path / "clone")
    large = yaml.safe_dump(SWEEP | {"memory": 1e6})
    (project.folder / "sweeps/params.yaml").write_text(large, encoding="utf-8")
    output = project.run("python", "-m", "sweeps.sweep", "data/processed", "sweeps", code=1)
    assert "a trial takes 1 threads and 1000000.0 GiB; the machines have" in output


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
    from sweeps.progress import state  # noqa: PLC0415  # Ray is an extra

    nothing = {"pickled_error_file": None, "get_pickled_error": lambda: None}
    assert state(SimpleNamespace(last_result=last, status=status, **nothing)) == expected


@needs_ray
def test_an_error_of_the_machine_is_named(finished_project: Project, tmp_path: Path) -> None:
    project = sweeping(finished_project.copy(tmp_path / "clone"))
    path = project.folder / "sweeps/engine.py"
    code = path.read_text(encoding="utf-8")
    line = "        values = changed(start, decoded(sweep.space, config))\n"
    assert line in code
    failing = '        raise OSError(28, "No space left on device", "/there")\n'
    path.write_text(code.replace(line, failing), encoding="utf-8")
    once = yaml.safe_dump(SWEEP | {"trials": 1})
    (project.folder / "sweeps/params.yaml").write_text(once, encoding="utf-8")
    output = project.dvc("repro", "sweeps/dvc.yaml", code=None)
    said = "OSError: [Errno 28] No space left on device: '/there'"
    again = re.findall(
        r"^trial 1: (.*); it starts again from its checkpoint$", output, re.MULTILINE
    )
    assert again == [said] * 3
    last = re.findall("the first reason: (.*)", output)
    assert last == [f"each time that it was started: {said}"]
