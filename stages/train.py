"""train: fit the chosen network to the training images, judge it by the validation images."""

import sys
from pathlib import Path

import keras
import numpy as np

from stages import scores
from stages.architectures import build
from stages.batches import Batches
from stages.checkpoints import Checkpoints
from stages.files import read_array, replacing, write_array, write_json, write_table
from stages.optimizers import FusedAdam
from stages.params import Model, Train
from stages.progress import EpochLine, StopAtNaN
from stages.saving import save_model

STEPS_PER_CALL = 50  # weight updates that TensorFlow does without returning to Python


def main(
    processed: Path,
    models: Path,
    reports: Path,
    seed: int,
    train: Train,
    model: Model,
    scratch: Path,
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
        scratch,
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
    network: keras.Model, training: Batches, validation: Batches, train: Train, scratch: Path
) -> dict[str, list[float]]:
    """Compile and train, from the last checkpoint in `scratch` if an earlier run left one.

    Returns a column for the epoch and one for each score. Training scores are means over the
    epoch while the weights change and dropout is on; validation scores are taken after it.
    Raises StageError if the loss ceases to be a number.
    """
    network.compile(
        optimizer=FusedAdam(train.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
        jit_compile=False,  # several times slower on CPUs
    )
    history = keras.callbacks.History()
    checkpoints = Checkpoints(scratch, history)
    training.epoch = checkpoints.restore(network)
    if training.epoch:
        print(f"An interrupted run left a checkpoint: going on after epoch {training.epoch}")
    live = sys.stdout.isatty()
    network.fit(
        training,
        initial_epoch=training.epoch,
        epochs=train.epochs,
        shuffle=False,  # Batches does; Keras would reorder batches by Python's random state
        validation_data=validation,
        callbacks=[history, StopAtNaN(), checkpoints] + ([] if live else [EpochLine()]),
        verbose=1 if live else 0,
    )
    columns = {name.replace("val_", "validation_"): v for name, v in history.history.items()}
    rounded = {name: [round(value, 5) for value in columns[name]] for name in sorted(columns)}
    return {"epoch": list(range(1, train.epochs + 1)), **rounded}


def overfitting(validation_loss: list[float]) -> str:
    """What the history says about overfitting: the best epoch on validation against the last."""
    best, last = int(np.argmin(validation_loss)), len(validation_loss) - 1
    if best == last:
        return f"No overfitting seen: the validation loss was lowest in the last epoch, {last + 1}."
    return (
        f"Overfitting after epoch {best + 1}: the validation loss was lowest there, "
        f"{validation_loss[best]:.4f}; epoch {last + 1}, the last, has {validation_loss[last]:.4f}."
    )
