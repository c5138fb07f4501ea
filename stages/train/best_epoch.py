"""train.keep and train.patience: which epoch's weights a training keeps, and when it stops."""

from typing import Any

import keras
import numpy.typing as npt

from stages.train.history import find_best_epoch


class BestEpoch(keras.callbacks.Callback):
    """Keeps the weights of the lowest validation loss; stops training `patience` epochs later.

    All but the weights is read off `history`, so a checkpoint needs nothing else to resume. Keras'
    own EarlyStopping forgets both when a run is killed. Stands after `history` among the callbacks,
    and before Checkpoints. Without validation images it does nothing.
    """

    def __init__(self, history: keras.callbacks.History, keep: str, patience: int) -> None:
        super().__init__()
        self.history, self.keep, self.patience = history, keep, patience
        self.weights: list[npt.NDArray[Any]] = []  # the best epoch's; none with keep: last

    def on_epoch_end(self, _epoch: int, _logs: dict[str, float] | None = None) -> None:
        if self.keep == "best" and self.losses() and not self.count_worse_epochs():
            self.weights = self.model.get_weights()
        if self.is_over():
            self.model.stop_training = True

    def is_over(self) -> bool:
        """Whether so many epochs had no lower validation loss that training stops."""
        return 0 < self.patience <= self.count_worse_epochs()

    def count_worse_epochs(self) -> int:
        """The epochs since the best one."""
        losses = self.losses()
        return len(losses) - 1 - find_best_epoch(losses) if losses else 0

    def losses(self) -> list[float]:
        """The validation loss of each epoch so far."""
        losses: list[float] = self.history.history.get("val_loss", [])
        return losses
