"""Fitting one network: from random weights to trained ones, and what is said on the way."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from stages.batches import Batches, Part
from stages.checkpoints import Checkpoints
from stages.layers import computing_in, fuse_batch_normalization
from stages.optimizers import FusedAdam
from stages.params import Train
from stages.prediction import AT_ONCE
from stages.progress import EpochLine, StopAtNaN

STEPS_PER_CALL = 50  # weight updates that TensorFlow does without returning to Python


def fit(
    make: Callable[[], keras.Model],
    parts: Sequence[Part],
    judge: Part | None,
    seed: int,
    train: Train,
    scratch: Path,
    watchers: Sequence[keras.callbacks.Callback] = (),
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a network that `make` makes on the parts' images; `judge` scores it after each epoch.

    Goes on from the last checkpoint in `scratch` if an earlier run left one. Returns the network
    in float32 and without an optimizer; and a column for each score, a value an epoch. Training
    scores are means over the epoch, while the weights change and dropout is on. Losses are those
    that are trained for, label smoothing included.
    Raises StageError if the loss ceases to be a number.
    """
    keras.utils.set_random_seed(seed)
    with computing_in(train.precision):
        network = make()
    classes = network.output.shape[1]
    training = Batches(parts, classes, train.batch_size, seed, train.augmentation)
    fuse_batch_normalization(network)
    network.compile(
        optimizer=FusedAdam(learning_rate(train, len(training))),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=train.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
        jit_compile=False,  # several times slower on CPUs
    )
    history = keras.callbacks.History()
    checkpoints = Checkpoints(scratch, history)
    done = checkpoints.restore(network)
    if done:
        print(f"An interrupted run left a checkpoint: going on after epoch {done}")
    start = keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, _: training.start_epoch(n))
    live = sys.stdout.isatty()
    lines = [] if live else [EpochLine()]
    network.fit(
        training.dataset(),
        initial_epoch=done,
        epochs=train.epochs,
        shuffle=False,  # Batches does
        validation_data=Batches([judge], classes, AT_ONCE).dataset() if judge else None,
        callbacks=[start, history, StopAtNaN(), checkpoints, *lines, *watchers],
        verbose=1 if live else 0,
    )
    columns = {name.replace("val_", "validation_"): v for name, v in history.history.items()}
    result = make()
    result.set_weights(network.get_weights())
    return result, {name: columns[name] for name in sorted(columns)}


def learning_rate(
    train: Train, steps_an_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A linear rise over the warm-up, then constant or half a cosine down to 0 at the end."""
    if train.schedule == "constant" and not train.warmup:
        return train.learning_rate
    steps = train.epochs * steps_an_epoch
    warmup = min(round(train.warmup * steps_an_epoch), steps - 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else train.learning_rate,
        warmup_target=train.learning_rate if warmup else None,
        warmup_steps=warmup,
        decay_steps=steps - warmup,
        alpha=0.0 if train.schedule == "cosine" else 1.0,  # share of the rate that stays
    )
