"""Fitting networks: from random weights to trained ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING

import keras

from stages.train.batches import Batches, Part
from stages.train.best_epoch import BestEpoch
from stages.train.checkpoints import Checkpoints
from stages.train.class_weights import balance_classes
from stages.train.fast_paths import fuse_batch_normalization, make_adam
from stages.train.history import History
from stages.train.precision import use_precision
from stages.train.prediction import images_per_batch
from stages.train.progress import EpochLine, StepBar, StopAtNaN

if TYPE_CHECKING:
    import tensorflow as tf

    from stages.run.params import Train
    from stages.train.pretrained import Pretrained

STEPS_PER_CALL = 50  # weight updates that TensorFlow does without returning to Python


@dataclass(frozen=True)
class Method:
    """A network and how it is trained, whatever the images and the seed.

    `background` is what augmentation moves in from beyond an image's edges: grey or red, green,
    blue. `plain` keeps to Keras' own path, without the fused kernels. `pretrained` is the backbone
    that the network begins with, if any. `says_epochs`: whether each epoch prints a line.
    """

    make_network: Callable[[], keras.Model]
    train: Train
    background: int | Sequence[int] = 0
    plain: bool = False
    pretrained: Pretrained | None = None
    says_epochs: bool = True


def fit_network(
    method: Method,
    parts: Sequence[Part],
    held_out: Part | None,
    seed: int,
    scratch: Path,
    watchers: Sequence[keras.callbacks.Callback] = (),
    title: str = "",
) -> tuple[keras.Model, History]:
    """Train one network on the parts' images; `held_out` scores it after each epoch.

    With train.class_weight the training loss is weighted, that of `held_out` is not. That one
    decides train.keep and train.patience, which without `held_out` do nothing. `title` begins each
    line that is printed.
    Resumes from the last checkpoint in `scratch` if an earlier run left one. Returns the network
    in float32 and without an optimizer, and a column for each score, a value an epoch. Training
    scores are means over the epoch, while the weights change and dropout is on. Losses are those
    that are minimised, label smoothing included.
    Raises UserError if the loss ceases to be a number.
    """
    train = method.train
    keras.utils.set_random_seed(seed)
    with use_precision(train.precision):
        network = method.make_network()
    classes = network.output.shape[1]
    weights = balance_classes(parts, classes) if train.class_weight == "balanced" else None
    batches = Batches(
        parts, classes, train.batch_size, seed, train.augmentation, method.background, weights
    )
    compile_network(network, train, len(batches), method.plain)
    history = keras.callbacks.History()
    best = BestEpoch(history, train.keep, train.patience)
    checkpoints = Checkpoints(scratch, history, best)
    done = checkpoints.restore(network)
    epochs = done if best.is_over() else train.epochs
    if done and (done < epochs or not title):  # trained side by side, all members are done
        print(f"{title}An interrupted run left a checkpoint: resuming after epoch {done}")
    start = keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, _: batches.start_epoch(n))
    spoken: list[keras.callbacks.Callback] = []
    if method.says_epochs:
        spoken = [EpochLine(title, train.patience)]
    # The bars of trainings side by side would overwrite each other.
    if method.says_epochs and sys.stdout.isatty() and not parent_process():
        spoken.insert(0, StepBar(title))
    network.fit(
        batches.dataset(),
        initial_epoch=done,
        epochs=epochs,
        shuffle=False,  # Batches does
        validation_data=make_validation_data(held_out, network) if held_out else None,
        callbacks=[start, history, StopAtNaN(), best, checkpoints, *spoken, *watchers],
        verbose=0,
    )
    columns = {name.replace("val_", "validation_"): v for name, v in history.history.items()}
    trained = method.make_network()
    trained.set_weights(best.weights or network.get_weights())
    return trained, {name: columns[name] for name in sorted(columns)}


def make_validation_data(held_out: Part, network: keras.Model) -> tf.data.Dataset:
    return Batches([held_out], network.output.shape[1], images_per_batch(network)).dataset()


def compile_network(network: keras.Model, train: Train, steps_per_epoch: int, plain: bool) -> None:
    if not plain:
        fuse_batch_normalization(network)
    network.compile(
        optimizer=make_adam(learning_rate(train, steps_per_epoch), plain),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=train.label_smoothing),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
        jit_compile=False,  # several times slower on CPUs
    )


def learning_rate(
    train: Train, steps_per_epoch: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The learning-rate schedule: linear warm-up, then constant or half a cosine down to 0."""
    if train.schedule == "constant" and not train.warmup:
        return train.learning_rate
    steps = train.epochs * steps_per_epoch
    warmup = min(round(train.warmup * steps_per_epoch), steps - 1)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else train.learning_rate,
        warmup_target=train.learning_rate if warmup else None,
        warmup_steps=warmup,
        decay_steps=steps - warmup,
        alpha=0.0 if train.schedule == "cosine" else 1.0,  # share of the rate that remains
    )
