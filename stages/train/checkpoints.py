"""Training that resumes where it was interrupted, and ends with the same bytes.

A checkpoint holds every variable of the model and of its optimizer (weights, moments, moving
averages, the step that the learning-rate schedule counts, the state of each random generator)
and the history; with train.keep: best also the best epoch's weights. Keras' own BackupAndRestore
lacks the random generators'.
"""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from stages.shared.atomic_write import atomic_write
from stages.train.best_epoch import BestEpoch

CHECKPOINT_SECONDS = 5.0
KEPT_FILES = 2  # the newest, and one more in case that is damaged

Arrays = Sequence[npt.NDArray[Any]]


class Checkpoint(NamedTuple):
    """What a file holds: the epochs done, the scores, the variables' values, the best weights."""

    epochs: int
    history: dict[str, list[float]]
    variables: Arrays
    best_weights: Arrays


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint after an epoch, at most every five seconds, into `folder`.

    After the last epoch it always does, so that an ensemble's finished members are kept. Stands
    after `history` and `best` among the callbacks, which must know of the epoch by then.
    """

    def __init__(self, folder: Path, history: keras.callbacks.History, best: BestEpoch) -> None:
        super().__init__()
        self.folder, self.history, self.best = folder, history, best
        self.written = time.monotonic()

    def restore(self, model: keras.Model) -> int:
        """Load the newest complete checkpoint into the compiled model. Returns the epochs done."""
        model.optimizer.build(model.trainable_variables)
        for path in sorted(self.folder.glob("epoch-*.npz"), reverse=True):
            try:
                checkpoint = read_checkpoint(path)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                print(f"skipped a damaged checkpoint, {path.name}: {error}")
                continue
            for variable, array in zip(all_variables(model), checkpoint.variables, strict=True):
                variable.assign(array)
            self.history.history = checkpoint.history
            self.best.weights = list(checkpoint.best_weights)
            return checkpoint.epochs
        return 0

    def on_epoch_end(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        last = epoch + 1 == self.params["epochs"] or self.best.is_over()
        if time.monotonic() - self.written < CHECKPOINT_SECONDS and not last:
            return
        variables = [variable.numpy() for variable in all_variables(self.model)]
        write_checkpoint(
            self.folder / f"epoch-{epoch + 1:05}.npz",
            Checkpoint(epoch + 1, self.history.history, variables, self.best.weights),
        )
        for old in sorted(self.folder.glob("epoch-*.npz"))[:-KEPT_FILES]:
            old.unlink()
        self.written = time.monotonic()


def all_variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    content = io.BytesIO()
    state = json.dumps([checkpoint.epochs, checkpoint.history])
    arrays: dict[str, Any] = {str(i): array for i, array in enumerate(checkpoint.variables)}
    arrays |= {f"best_{i}": array for i, array in enumerate(checkpoint.best_weights)}
    np.savez(content, state=state, **arrays)
    with atomic_write(path) as file:
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.write(content.getbuffer())


def read_checkpoint(path: Path) -> Checkpoint:
    """Raises ValueError if the file is torn."""
    digest, content = (whole := path.read_bytes())[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its content does not fit its checksum")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        epochs, history = json.loads(str(archive["state"]))
        best = sum(name.startswith("best_") for name in archive.files)
        variables = [archive[str(i)] for i in range(len(archive.files) - 1 - best)]
        best_weights = [archive[f"best_{i}"] for i in range(best)]
        return Checkpoint(epochs, history, variables, best_weights)
