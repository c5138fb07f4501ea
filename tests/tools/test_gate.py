"""python -m tools.gate: which scores pass, and which are no scores of the present state.

The finished project's network is at chance; that of the edited project has learnt something.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, Project, make_section
from pydantic import ValidationError

from stages.evaluate.class_scores import share_interval
from stages.run.params import Gate
from stages.shared.baseline import describe_no_better
from tools.gate import AT_MOST, TEST_USED, Check, describe_check
from tools.shared.paths import LABELS, PROBABILITIES

GATE = "tools.gate"
HELD_OUT = 12  # validation images of the tiny data set: a fifth of 60


def set_gate(project: Project, **limits: dict[str, float]) -> None:
    project.edit({"gate": {"dataset": "tiny", "validation": {}, "test": {}} | limits})


def describe(project: Project, split: str) -> str:
    """The sentence about a network that is no better than the largest class."""
    paths = (PROBABILITIES[split], LABELS[split], LABELS["train"])
    return describe_no_better(*(np.load(project.folder / path) for path in paths), split)


def scores(project: Project, split: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(project.read(f"reports/{split}.json"))
    return found


def test_a_score_just_met_passes_and_one_just_missed_does_not(edited_project: Project) -> None:
    project = edited_project
    accuracy, loss = (scores(project, "validation")[name] for name in ("accuracy", "loss"))
    set_gate(project, validation={"accuracy": accuracy, "loss": loss})
    said = project.call(GATE)
    low, high = share_interval(round(accuracy * HELD_OUT), HELD_OUT)
    assert (
        f"validation accuracy: expected at least {accuracy}, found {accuracy}: 0.0000 to spare; "
        f"the limit lies within the 95 % interval, {low:.4f} to {high:.4f}"
    ) in said
    assert f"validation loss: expected at most {loss}, found {loss}" in said
    assert "The gate is passed." in said
    assert TEST_USED not in said

    set_gate(project, validation={"accuracy": 1.0, "loss": round(loss - 0.01, 4)})
    said = project.call(GATE, code=1)
    assert f"found {accuracy}: misses it by {1 - accuracy:.4f}" in said
    assert f"found {loss}: misses it by 0.0100" in said
    assert "2 of 2 limits not met" in said


def test_a_limit_is_no_stage_s_param(project: Project) -> None:
    set_gate(project, validation={"accuracy": 0.5}, test={"macro_f1": 0.1})
    assert "up to date" in project.dvc("status")


def test_a_limit_on_test_scores_says_that_they_were_used(edited_project: Project) -> None:
    project = edited_project
    found = scores(project, "test")
    set_gate(project, test={"accuracy": 0.0, "calibration_error": 1.0})
    said = project.call(GATE)
    assert TEST_USED in said
    assert f"{found['accuracy_low']:.4f} to {found['accuracy_high']:.4f}" in said
    assert (
        f"test calibration_error: expected at most 1.0, found {found['calibration_error']}" in said
    )


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ({"train.epochs": 3}, "older than these edits: train.epochs"),
        ({"train.epohcs": 3}, "train.epohcs: unknown key"),
        (
            {"gate.dataset": "mnist"},
            "the limits of gate are those of mnist, and dataset is tiny: set gate.dataset to tiny",
        ),
        (
            {"gate": {"dataset": "tiny", "validation": {}, "test": {}}},
            "expected a limit, found none",
        ),
        (
            {"gate": {"dataset": "tiny", "validation": {"recall": 0.9}, "test": {}}},
            "gate.validation.recall",
        ),
    ],
)
def test_what_is_no_present_score_is_an_error(
    project: Project, values: dict[str, object], cause: str
) -> None:
    project.edit(values)
    said = project.call(GATE, code=2)
    assert cause in said
    assert "Traceback" not in said


def test_scores_that_somebody_wrote_are_refused(project: Project) -> None:
    path = project.folder / "reports/validation.json"
    written = scores(project, "validation") | {"accuracy": 0.999}
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    said = project.call(GATE, code=2)
    assert "reports/validation.json: not what dvc.lock says: `dvc repro`" in said
    path.unlink()
    assert "`dvc repro`" in project.call(GATE, code=2)


def test_code_edited_since_is_refused(project: Project) -> None:
    path = project.folder / "stages/train/fitting.py"
    path.write_text(path.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")
    assert "stages/train" in project.call(GATE, code=2)


def test_trained_on_the_validation_images(refitted_project: Project) -> None:
    """Then only the test images can say something, if the user asks them."""
    assert "Set gate.test.accuracy in params.yaml" in refitted_project.call(GATE, code=2)
    set_gate(refitted_project, validation={"accuracy": 0.9}, test={"accuracy": 0.0})
    said = refitted_project.call(GATE, code=1)
    assert "validation" not in said
    assert TEST_USED in said
    assert describe(refitted_project, "test") in said


def test_a_network_that_is_no_better_than_the_largest_class_fails(project: Project) -> None:
    """Whatever the limits. Test images are looked at only if they have a limit."""
    of_validation, of_test = (describe(project, split) for split in ("validation", "test"))
    assert of_validation
    assert of_test
    set_gate(project, validation={"accuracy": 0.0})
    said = project.call(GATE, code=1)
    assert of_validation in said
    assert of_test not in said
    assert "limits not met" not in said
    assert "The gate is passed." not in said

    set_gate(project, test={"loss": 0.0})
    said = project.call(GATE, code=1)
    assert f"{of_validation}\n{of_test}\n1 of 1 limits not met\n" in said


@pytest.mark.parametrize(
    "path",
    [LABELS["validation"], LABELS["train"], PROBABILITIES["validation"]],
)
def test_in_a_clone_without_arrays_the_limits_decide(project: Project, path: Path) -> None:
    set_gate(project, validation={"accuracy": 0.0})
    (project.folder / path).unlink()
    said = project.call(GATE)
    assert (
        "Not compared with the largest class on the validation images: workspace: "
        f"{path}: missing. `dvc pull {path}` brings it back"
    ) in said
    assert (f"no interval, as {path} is missing" in said) == (path == LABELS["validation"])


def test_arrays_of_another_run_are_refused(project: Project) -> None:
    set_gate(project, validation={"accuracy": 0.0})
    path = project.folder / LABELS["train"]
    path.unlink()  # a link into DVC's cache, maybe
    np.save(path, np.zeros(48, np.uint8))
    assert f"{LABELS['train']}: expected MD5" in project.call(GATE, code=2)


@pytest.mark.parametrize("metric", AT_MOST)
def test_losses_and_errors_are_limited_from_above(metric: str) -> None:
    assert Check("test", metric, 0.1, 0.05, None).is_met
    assert not Check("test", metric, 0.1, 0.15, None).is_met


def test_the_interval_says_whether_chance_explains_it() -> None:
    said = describe_check(Check("validation", "accuracy", 0.99, 0.98, (0.977, 0.983)))
    assert said.endswith(
        "misses it by 0.0100; the limit lies outside the 95 % interval, 0.9770 to 0.9830"
    )


def test_every_metric_of_the_two_files_has_its_type(project: Project) -> None:
    """But for counts, the ends of the interval, and the baseline, which is the data's."""
    for split in ("validation", "test"):
        names = {
            name
            for name, value in scores(project, split).items()
            if isinstance(value, float) and not re.search("_(low|high)$|^baseline_", name)
        }
        limits = {"validation": {}, "test": {}} | {split: dict.fromkeys(names, 0.5)}
        make_section(Gate, dataset="tiny", **limits)
    with pytest.raises(ValidationError):
        make_section(Gate, dataset="tiny", validation={}, test={"parameters": 1.0})


def test_the_review_fails_at_a_limit(edited_project: Project) -> None:
    """Its step, as it stands in the file, on one model: no comparison finds it worse."""
    project = edited_project
    project.commit("The edit")
    text = (ROOT / ".github/workflows/review.yml").read_text(encoding="utf-8")
    steps = {step.get("name"): step for step in yaml.safe_load(text)["jobs"]["report"]["steps"]}
    names = list(steps)
    assert names.index("Report") < names.index("Gate")
    command = ("bash", "-e", "-c", steps["Gate"]["run"])
    project.environment = project.environment | {"BASE": "HEAD"}
    set_gate(project, validation={"accuracy": 0.0})
    assert "The gate is passed." in project.run(*command)
    set_gate(project, validation={"loss": 0.0})
    assert "1 of 1 limits not met" in project.run(*command, code=1)
