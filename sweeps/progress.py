"""What is said while a sweep runs: a live table on a terminal, a line an ended trial in logs."""

import sys
import time
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import RayTaskError
from ray.tune import Callback
from rich.live import Live
from rich.table import Table

SCORE = "validation_accuracy"
SHOWN_TRIALS = 20  # the newest
REDRAW_SECONDS = 0.5


def describe_end(trial: Any) -> tuple[str, str]:
    """How a trial of Ray's ended: finished, stopped by the scheduler, or failed; and why."""
    if failure := trial.last_result.get("failure"):
        return "failed", failure
    if trial.status == "ERROR":
        return "failed", f"each time that it was started: {describe_loss(trial)}"
    return ("finished" if trial.last_result["ended"] else "stopped"), ""


def describe_loss(trial: Any) -> str:
    """What ended a trial's process last: an error of this machine, or a kill."""
    error = last_error(trial)
    if isinstance(error, RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    return "its process was lost"


def last_error(trial: Any) -> Exception | None:
    """From the file that Ray writes here at once: the storage has it some seconds later."""
    path = trial.pickled_error_file
    if path and Path(path).exists():
        error: Exception = cloudpickle.loads(Path(path).read_bytes())
        return error
    stored: Exception | None = trial.get_pickled_error()
    return stored


class Progress(Callback):
    def __init__(self, trials: int) -> None:
        self.trials = trials
        self.drawn = 0.0
        self.live: Live | None = None
        self.told: set[str] = set()

    def on_step_end(self, trials: list[Any], **_info: Any) -> None:
        new = [t for t in trials if t.is_finished() and t.trial_id not in self.told]
        self.told |= {trial.trial_id for trial in new}
        if sys.stdout.isatty():
            if new or time.monotonic() - self.drawn > REDRAW_SECONDS:
                self.draw(trials)
            return
        for trial in new:
            print(
                f"{len(self.told)}/{self.trials}  trial {'  '.join(describe_trial(trial))}",
                flush=True,
            )

    def on_trial_recover(self, trial: Any, **_info: Any) -> None:
        say = self.live.console.print if self.live else print
        say(f"trial {trial_number(trial)}: {describe_loss(trial)}; it restarts from its checkpoint")

    def on_experiment_end(self, **_info: Any) -> None:
        if self.live:  # not drawn again: after Ctrl-C Ray calls every trial ended
            self.live.stop()
            self.live = None

    def draw(self, trials: list[Any]) -> None:
        self.drawn = time.monotonic()
        if not self.live:
            self.live = Live(auto_refresh=False)
            self.live.start()
        self.live.update(make_table(trials, self.trials), refresh=True)


def trial_number(trial: Any) -> int:
    """Which of the sweep's trials this is, from 1: Ray's lists change their order."""
    return int(trial.experiment_tag.partition("_")[0])


def make_table(trials: list[Any], count: int) -> Table:
    ended = [trial for trial in trials if trial.is_finished()]
    scores = [t.last_result[SCORE] for t in trials if SCORE in t.last_result]
    best = f", best so far {max(scores):.4f}" if scores else ""
    result = Table(title=f"{len(ended)} of {count} trials ended{best}")
    for column in ("Trial", "State", "Validation accuracy", "Epochs", "Values"):
        result.add_column(column)
    for trial in sorted(trials, key=trial_number)[-SHOWN_TRIALS:]:
        result.add_row(*describe_trial(trial))
    return result


def describe_trial(trial: Any) -> list[str]:
    last = trial.last_result
    how = describe_end(trial)[0] if trial.is_finished() else trial.status.lower()
    score = f"{last[SCORE]:.4f}" if SCORE in last and how != "failed" else ""
    values = ", ".join(
        f"{key.rpartition('.')[2]} {value:.3g}"
        if isinstance(value, float)
        else f"{key.rpartition('.')[2]} {value}"
        for key, value in trial.config.items()
    )
    return [str(trial_number(trial)), how, score, str(last.get("epochs", "")), values]
