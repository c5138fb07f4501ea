"""What a sweep leaves: the table of its trials, the best values, the plots' data."""

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

from stages.shared.atomic_write import atomic_write
from stages.shared.errors import UserError
from stages.shared.scores import DIGITS
from sweeps.space import Dimension, Values, with_values


class Trial(NamedTuple):
    """A trial's values by key, and what it last reported; state as trials.csv has it."""

    values: Values
    scores: dict[str, Any]
    state: str
    failure: str


def write_results(
    trials: list[Trial], best: Trial, space: dict[str, Dimension], start: Values, folder: Path
) -> None:
    """The table of the trials, the plot's data and the best values, into `folder`."""
    write_trials(trials, space, folder / "trials.csv")
    write_points(trials, space, folder / "values.json")
    write_best(best, start, folder / "best.yaml")


def write_trials(trials: list[Trial], space: dict[str, Dimension], path: Path) -> None:
    """A row a trial in the order of their starts; best_so_far counts finished trials alone."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    scores = ["validation_accuracy", "validation_loss", "epochs", "state"]
    rows.writerow(["trial", *space, *scores, "best_so_far", "failure"])
    best: float | str = ""
    for number, trial in enumerate(trials, start=1):
        accuracy, loss = round_scores(trial)
        if trial.state == "finished":
            best = max(accuracy, best or 0.0)
        values = [format_cell(trial.values[key]) for key in space]
        epochs = trial.scores.get("epochs", 0)
        rows.writerow([number, *values, accuracy, loss, epochs, trial.state, best, trial.failure])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def round_scores(trial: Trial) -> tuple[Any, Any]:
    """Validation accuracy and loss; empty if it failed."""
    if trial.state == "failed":
        return "", ""
    accuracy, loss = (trial.scores[f"validation_{name}"] for name in ("accuracy", "loss"))
    return round(accuracy, DIGITS), round(loss, DIGITS)


def format_cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def write_points(trials: list[Trial], space: dict[str, Dimension], path: Path) -> None:
    """A row for each value of each trial that did not fail, for the plot."""
    rows = [
        {
            "trial": number,
            "key": f"{key} ({describe_range(dimension)})",
            "place": round(dimension.place(trial.values[key]), DIGITS),
            "value": format_cell(trial.values[key]),
            "validation_accuracy": round_scores(trial)[0],
            "state": trial.state,
        }
        for key, dimension in space.items()
        for number, trial in enumerate(trials, start=1)
        if trial.state != "failed"
    ]
    with atomic_write(path) as file:
        file.write((json.dumps(rows, indent=2, allow_nan=False) + "\n").encode())


def describe_range(dimension: Dimension) -> str:
    if dimension.choices is not None:
        return ", ".join(map(format_cell, dimension.choices))
    return f"{dimension.low:g} to {dimension.high:g}{', log' if dimension.log else ''}"


def choose_best(trials: list[Trial]) -> Trial:
    """The finished trial of the highest accuracy, of equals the one of the lowest loss.

    Raises UserError with a failure's reason if no trial finished.
    """
    finished = [trial for trial in trials if trial.state == "finished"]
    if not finished:
        failure = next((trial.failure for trial in trials if trial.failure), "all were stopped")
        raise UserError(f"no trial finished; the first reason: {failure}")
    return max(finished, key=lambda trial: (round_scores(trial)[0], -round_scores(trial)[1]))


def write_best(best: Trial, start: Values, path: Path) -> None:
    """The best trial's values as a block `best` in the shape of recipes.yaml."""
    values = with_values(start, best.values)
    name = values["model"]["name"]
    block = {
        "dataset": values["dataset"],
        "train": values["train"],
        "model": {"name": name, name: values["model"][name]},
    }
    yaml = YAML()
    yaml.width = 100
    yaml.default_flow_style = None  # a list in one line
    text = io.StringIO()
    accuracy, loss = round_scores(best)
    text.write(f"# The best of a sweep: validation accuracy {accuracy}, loss {loss}\n")
    yaml.dump({"best": block}, text)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
