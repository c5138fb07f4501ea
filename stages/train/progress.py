"""What is said while a network trains, and the end of a training that has failed."""

import math
import time

import keras

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


class EpochLine(keras.callbacks.Callback):
    """A line an epoch, for logs and pipes."""

    def on_epoch_begin(self, _epoch: int, _logs: dict[str, float] | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        values = "  ".join(
            f"{name.replace('val_', 'validation_')} {logs[name]:.4f}" for name in logs
        )
        seconds = time.perf_counter() - self.start
        print(f"epoch {epoch + 1}/{self.params['epochs']}  {values}  {seconds:.1f} s", flush=True)
