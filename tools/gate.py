"""python -m tools.gate: do the present scores meet the limits of params.yaml's section `gate`?

    gate:
      dataset: mnist      # whose limits these are
      validation:
        accuracy: 0.975   # at least
        loss: 0.12        # at most, as for every loss and error
      test: {}            # none

A network that is no better than the largest class of the training images fails, whatever the
limits: on the validation images, and on the test images if those have limits.

Exit code 0 if all is met, 1 if not, 2 if that cannot be said: results that are older than an edit
are refused. A limit on test scores uses the test images up: choose by the others.
"""

import json
import sys
from typing import NamedTuple

import numpy as np

from stages.evaluate.class_scores import share_interval
from stages.run.failures import failures_in_one_line
from stages.run.hashes import md5_of_file
from stages.run.params import PARAMS, Params
from stages.run.yaml_files import read_yaml, validate
from stages.shared.errors import UserError
from tools.shared.baseline import describe_absent, judge_workspace
from tools.shared.command_line import make_parser
from tools.shared.git import WORKSPACE
from tools.shared.paths import LABELS, LOCK, METRIC_FILES, PROBABILITIES
from tools.shared.predictions import is_held_out
from tools.shared.revisions import read_revision
from tools.shared.stored_arrays import AbsentArraysError

AT_MOST = ("loss", "calibration_error", "accepted_error_rate")  # all others: at least
TEST_USED = "The test images were used: a choice made by them makes their score too good."

Limits = dict[str, dict[str, float]]  # by split and metric


class Check(NamedTuple):
    split: str
    metric: str
    limit: float
    found: float
    interval: tuple[float, float] | None  # 95 %; None if it is not known

    @property
    def is_met(self) -> bool:
        return self.found <= self.limit if self.metric in AT_MOST else self.found >= self.limit


def main() -> None:
    make_parser("tools.gate", __doc__).parse_args()
    with failures_in_one_line("gate", code=2):
        limits = read_limits()
        checks = check_scores(limits)
        problems, notes = compare_with_largest_class(limits)
    for line in [*map(describe_check, checks), *notes]:
        print(line)
    if limits["test"]:
        print(TEST_USED)
    failed = sum(not check.is_met for check in checks)
    if failed:
        problems.append(f"{failed} of {len(checks)} limits not met")
    if problems:
        sys.exit("\n".join(problems))
    print("The gate is passed.")


def check_scores(limits: Limits) -> list[Check]:
    """Each limit with the present score. Raises UserError if there is none that is up to date."""
    checks = []
    for split, metrics in limits.items():
        scores = read_scores(split) if metrics else {}
        for metric, limit in metrics.items():
            if metric not in scores:
                raise UserError(
                    f"gate.{split}.{metric}: expected it in {METRIC_FILES[split]}, found "
                    f"{', '.join(scores)}"
                )
            interval = find_interval(split, scores) if metric == "accuracy" else None
            checks.append(Check(split, metric, limit, scores[metric], interval))
    return checks


def compare_with_largest_class(limits: Limits) -> tuple[list[str], list[str]]:
    """On which images the network is no better, and on which that cannot be said: a sentence each.

    In a clone without arrays the limits alone decide.
    """
    splits = ["validation"] if is_held_out([WORKSPACE]) else []
    splits += ["test"] if limits["test"] else []
    problems: list[str] = []
    notes: list[str] = []
    for split in splits:
        try:
            if no_better := judge_workspace(split):
                problems.append(no_better)
        except AbsentArraysError as error:
            notes.append(describe_absent(split, error))
    return problems, notes


def read_limits() -> Limits:
    """The limits by split, of those splits that have some and that the model was not trained on."""
    params = validate(Params, read_yaml(PARAMS), PARAMS)
    gate = params.gate.model_dump(exclude={"dataset"})
    if params.gate.dataset != params.dataset:
        raise UserError(
            f"{PARAMS}: the limits of gate are those of {params.gate.dataset}, and dataset is "
            f"{params.dataset}: set gate.dataset to {params.dataset}, and limits that fit it"
        )
    if not any(gate.values()):
        raise UserError(f"{PARAMS}: gate: expected a limit, found none: add validation.accuracy")
    if params.train.refit:
        if not gate["test"]:
            raise UserError(
                "train.refit: true trains on the validation images, so they have no score. Set "
                f"gate.test.accuracy in {PARAMS}, or check the choice with train.refit: false"
            )
        gate["validation"] = {}
    return gate


def read_scores(split: str) -> dict[str, float]:
    """The scores of a split. Raises UserError unless they are the present results of dvc.lock."""
    path = METRIC_FILES[split]
    revision = read_revision(WORKSPACE, str(PROBABILITIES[split]))
    if not path.is_file() or md5_of_file(path) != revision.made.get(str(path)):
        raise UserError(f"{path}: not what {LOCK} says: `dvc repro` brings it back")
    scores = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in scores.items() if isinstance(value, int | float)}


def find_interval(split: str, scores: dict[str, float]) -> tuple[float, float] | None:
    """The accuracy's 95 % confidence interval; None if the file that has the labels is not here."""
    if "accuracy_low" in scores:
        return scores["accuracy_low"], scores["accuracy_high"]
    if not LABELS[split].is_file():
        return None
    count = len(np.load(LABELS[split], mmap_mode="r"))
    return share_interval(round(scores["accuracy"] * count), count)


def describe_check(check: Check) -> str:
    """Such as `validation accuracy: expected at least 0.975, found 0.9804: 0.0054 to spare`."""
    bound = "at most" if check.metric in AT_MOST else "at least"
    distance = f"{abs(check.found - check.limit):.4f}"
    said = f"{distance} to spare" if check.is_met else f"misses it by {distance}"
    if check.interval:
        low, high = check.interval
        side = "within" if low <= check.limit <= high else "outside"
        said += f"; the limit lies {side} the 95 % interval, {low:.4f} to {high:.4f}"
    elif check.metric == "accuracy":
        said += f"; no interval, as {LABELS[check.split]} is missing: `dvc pull` or `dvc repro`"
    return (
        f"{check.split} {check.metric}: expected {bound} {check.limit}, found {check.found}: {said}"
    )


if __name__ == "__main__":
    main()
