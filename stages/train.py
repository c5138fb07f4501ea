"""train: fit the chosen network to the training images, judge it by the validation images."""

import math
import sys
import time
from pathlib import Path

import keras
import numpy as np

from stages import StageError, scores
from stages.architectures import build
from stages.batches import Batches
from stages.files import read_array, replacing, write_array, write_json, write_table
from stages.params import Model, Train
from stages.saving import save_model

STEPS_PER_CALL = 50  # weight updates that TensorFlow does without returning to Python


def main(
    processed: Path, models: Path, reports: Path, seed: int, train: Train, model: Model
) -> None:
    names = ("x_train", "y_train", "x_validation", "y_validation")
    x_train, y_train, x_validation, y_validation = (
        read_array(processed / f"{name}.npy") for name in names
    )
    classes = 1 + int(max(y_train.max(), y_validation.max()))
    keras.utils.set_random_seed(seed)
    network = build(model.name, x_train.shape[1:], classes, **dict(model.chosen))
    write_layers(network, models / "layers.txt")
    history = fit(
        network,
        Batches(x_train, y_train, classes, train.batch_size, seed),
        Batches(x_validation, y_validation, classes, 1000),
        train,
    )
    print(overfitting(history["validation_loss"]))
    write_table(reports / "history.csv", history)
    probabilities = network.predict(x_validation, batch_size=1000, verbose=0)
    write_array(reports / "probabilities_validation.npy", probabilities)
    metrics = {
        "accuracy": scores.accuracy(probabilities, y_validation),
        "loss": scores.loss(probabilities, y_validation),
        "parameters": network.count_params(),
    }
    write_json(reports / "validation.json", metrics)
    save_model(network, models / "model.keras")


def write_layers(network: keras.Model, path: Path) -> None:
    """Print the table of layers, their output shapes and parameters, and keep it."""
    lines: list[str] = []
    network.summary(line_length=80, print_fn=lines.append)
    table = "\n".join(lines)
    print(table)
    with replacing(path) as file:
        file.write(f"{table}\n".encode())


def fit(
    network: keras.Model, training: Batches, validation: Batches, train: Train
) -> dict[str, list[float]]:
    """Compile and train. Returns a column for the epoch and one for each score, epoch by epoch.

    Training scores are means over the epoch while the weights change and dropout is on;
    validation scores are taken after it. Raises StageError if the loss ceases to be a number.
    """
    network.compile(
        optimizer=keras.optimizers.Adam(train.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
        jit_compile=False,  # several times slower on CPUs
    )
    live = sys.stdout.isatty()
    history = network.fit(
        training,
        epochs=train.epochs,
        validation_data=validation,
        callbacks=[StopAtNaN()] if live else [StopAtNaN(), EpochLine()],
        verbose=1 if live else 0,
    ).history
    columns = {name.replace("val_", "validation_"): values for name, values in history.items()}
    rounded = {name: [round(value, 5) for value in columns[name]] for name in sorted(columns)}
    return {"epoch": list(range(1, train.epochs + 1)), **rounded}


class StopAtNaN(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if not all(map(math.isfinite, logs.values())):
            raise StageError(
                f"the loss became {logs['loss']} in epoch {epoch + 1}: training diverged. "
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


def overfitting(validation_loss: list[float]) -> str:
    """What the history says about overfitting: the best epoch on validation against the last."""
    best, last = int(np.argmin(validation_loss)), len(validation_loss) - 1
    if best == last:
        return f"No overfitting seen: the validation loss was lowest in the last epoch, {last + 1}."
    return (
        f"Overfitting after epoch {best + 1}: the validation loss was lowest there, "
        f"{validation_loss[best]:.4f}; epoch {last + 1}, the last, has {validation_loss[last]:.4f}."
    )
