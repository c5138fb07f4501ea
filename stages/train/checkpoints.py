"""Training that resumes where it was interrupted, and ends with the same bytes.

A checkpoint holds every variable of the model and of its optimizer (weights, moments, moving
averages, the step that the learning-rate schedule counts, the state of each random generator)
and the history. Keras' own BackupAndRestore lacks the random generators'.
"""

import hashlib
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stages.shared.atomic_write import atomic_write

CHECKPOINT_SECONDS = 5.0
KEPT_FILES = 2  # the newest, and one more in case that is damaged


class Checkpoints(keras.callbacks.Callback):
    """Writes a checkpoint after an epoch, at most every five seconds, into `folder`.

    After the last epoch it always does, so that an ensemble's finished members are kept. Stands
    after `history` among the callbacks, which must have the epoch's row by then.
    """

    def __init__(self, folder: Path, history: keras.callbacks.History) -> None:
        super().__init__()
        self.folder, self.history = folder, history
        self.written = time.monotonic()

    def restore(self, model: keras.Model) -> int:
        """Load the newest complete checkpoint into the compiled model. Returns the epochs done."""
        model.optimizer.build(model.trainable_variables)
        for path in sorted(self.folder.glob("epoch-*.npz"), reverse=True):
            try:
                epochs, history, arrays = read_checkpoint(path)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                print(f"skipped a damaged checkpoint, {path.name}: {error}")
                continue
            for variable, array in zip(all_variables(model), arrays, strict=True):
                variable.assign(array)
            self.history.history = history
            return epochs
        return 0

    def on_epoch_end(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        last = epoch + 1 == self.params["epochs"]
        if time.monotonic() - self.written < CHECKPOINT_SECONDS and not last:
            return
        write_checkpoint(
            self.folder / f"epoch-{epoch + 1:05}.npz", epoch + 1, self.history.history, self.model
        )
        for old in sorted(self.folder.glob("epoch-*.npz"))[:-KEPT_FILES]:
            old.unlink()
        self.written = time.monotonic()


def all_variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def write_checkpoint(
    path: Path, epochs: int, history: dict[str, list[float]], model: keras.Model
) -> None:
    content = io.BytesIO()
    arrays = {str(i): variable.numpy() for i, variable in enumerate(all_variables(model))}
    np.savez(content, state=json.dumps([epochs, history]), **arrays)
    with atomic_write(path) as file:
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.write(content.getbuffer())


def read_checkpoint(path: Path) -> tuple[int, dict[str, list[float]], list[np.ndarray[Any, Any]]]:
    """The epochs done, the history and the variables' values. Raises ValueError if it is torn."""
    digest, content = (whole := path.read_bytes())[:32], whole[32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its content does not fit its checksum")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        epochs, history = json.loads(str(archive["state"]))
        return epochs, history, [archive[str(i)] for i in range(len(archive.files) - 1)]
