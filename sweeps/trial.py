"""One trial: the training of `train` with other values, its score told after each epoch.

It gets the training and validation images and nothing else: it could not look at test images.
"""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from ray import tune

from stages.run.params import PARAMS, Params
from stages.run.yaml_files import validate
from stages.train.batches import Part
from stages.train.members import count_epochs, fit, judge_images, make_method
from stages.train.scoring import score
from stages.train.threads import use_threads


def run_trial(
    values: dict[str, Any],
    training: Part,
    validation: Part,
    seeds: int,
    background: int | list[int],
) -> None:
    """Train a network for each seed; report their mean scores, and checkpoints on the way.

    `background` is what lies beyond an image's edges: grey, or red, green and blue.

    Until the first one has ended, reported is its own score after each epoch: by that the
    scheduler stops a trial. Resumes from the checkpoint that Ray has of this trial.
    """
    params = validate(Params, values, PARAMS)
    use_threads(params.train.threads)
    method = make_method(params.model, params.train, training, validation, background)
    with tempfile.TemporaryDirectory() as folder:
        reports = Reports(Path(folder), count_epochs(method), seeds)
        for number in range(seeds):
            keras.utils.clear_session()  # a process runs one trial after another
            scratch, seed = Path(folder) / str(number), params.seed + number
            network, _ = fit(method, [training], validation, seed, scratch, [reports])
            images, labels = validation
            reports.ended(score(judge_images(method, network, images), labels))


class Reports(keras.callbacks.Callback):
    """Tells Ray the scores, with the newest checkpoint whenever there is a newer one."""

    def __init__(self, folder: Path, epochs: int, seeds: int) -> None:
        super().__init__()
        self.folder, self.epochs, self.seeds = folder, epochs, seeds
        self.scores: list[dict[str, float]] = []  # of the networks that have ended
        self.sent: set[Path] = set()
        if checkpoint := tune.get_checkpoint():
            checkpoint.to_directory(folder)
            self.sent = self.written()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        done = epoch + 1
        if done == self.epochs:
            return  # `ended` reports the score of the finished network
        if not self.scores:
            self.report(done, {"accuracy": logs["val_accuracy"], "loss": logs["val_loss"]})
        else:
            self.report(len(self.scores) * self.epochs + done, self.mean())

    def ended(self, scored: dict[str, float]) -> None:
        self.scores.append(scored)
        self.report(len(self.scores) * self.epochs, self.mean())

    def mean(self) -> dict[str, float]:
        return {name: float(np.mean([s[name] for s in self.scores])) for name in self.scores[0]}

    def report(self, epochs: int, scored: dict[str, float]) -> None:
        written = self.written()
        checkpoint = tune.Checkpoint.from_directory(self.folder) if written != self.sent else None
        self.sent = written
        metrics = {f"validation_{name}": value for name, value in scored.items()}
        ended = epochs == self.epochs * self.seeds
        tune.report(metrics | {"epochs": epochs, "ended": ended}, checkpoint=checkpoint)

    def written(self) -> set[Path]:
        return set(self.folder.rglob("epoch-*.npz"))
