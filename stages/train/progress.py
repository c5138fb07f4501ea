"""What is said while a network trains, and the end of a training that has failed."""

import math
import time

import keras
from tqdm import tqdm

from stages.shared.errors import UserError


class StopAtNaN(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            if not math.isfinite(value):
                which = name.replace("val_", "validation ")
                raise UserError(
                    f"the {which} became {value} in epoch {epoch + 1}: training diverged. "
                    "Lower train.learning_rate in params.yaml and run again."
                )


class StepBar(keras.callbacks.Callback):
    """A live bar of the weight updates of an epoch, for terminals; it goes when the epoch ends.

    Keras' own bar counts calls of several updates each, so it runs to 400 of 375.
    """

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.title = title

    def on_epoch_begin(self, epoch: int, _logs: dict[str, float] | None = None) -> None:
        title = f"{self.title}epoch {epoch + 1}/{self.params['epochs']}"
        self.bar = tqdm(desc=title, total=self.params["steps"], unit="step", leave=False)

    def on_train_batch_end(  # Keras gives `logs` by this name
        self,
        batch: int,
        logs: dict[str, float] | None = None,  # noqa: ARG002
    ) -> None:
        self.bar.update(min(batch + 1, self.bar.total) - self.bar.n)

    def on_epoch_end(self, _epoch: int, _logs: dict[str, float] | None = None) -> None:
        self.bar.close()


class EpochLine(keras.callbacks.Callback):
    """A line an epoch, and one more if training stops before its last."""

    def __init__(self, title: str = "", patience: int = 0) -> None:
        super().__init__()
        self.title, self.patience = title, patience

    def on_epoch_begin(self, _epoch: int, _logs: dict[str, float] | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        values = "  ".join(
            f"{name.replace('val_', 'validation_')} {logs[name]:.4f}" for name in logs
        )
        seconds = time.perf_counter() - self.start
        count = f"{epoch + 1}/{self.params['epochs']}"
        print(f"{self.title}epoch {count}  {values}  {seconds:.1f} s", flush=True)
        if self.model.stop_training and epoch + 1 < self.params["epochs"]:
            print(
                f"{self.title}stopped after epoch {epoch + 1}: the validation loss was lowest in "
                f"epoch {epoch + 1 - self.patience} (train.patience: {self.patience})",
                flush=True,
            )
