"""Trains a network for a task and lets it judge: the only file here that needs TensorFlow."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from stages.run.plain import is_plain
from stages.train.members import fit, judge_images, make_method
from stages.train.memory import refuse_too_large
from stages.train.precision import warn_of_slow_arithmetic
from stages.train.threads import use_threads
from tools.audit.folds import Float32s, Images, Indices, Task

if TYPE_CHECKING:
    from stages.preprocess.main import Selection
    from tools.audit.run import Values


def make_judge(
    selection: Selection,
    learnt: Indices,
    values: Values,
    background: Any,
    scratch: Path,
    left: list[Task],
) -> Callable[[Task], Float32s]:
    """What trains the network of a task and gives its probabilities (judged images, classes).

    `learnt` are the images of the source that any task trains on, `left` the tasks that are to be
    done.
    Checkpoints go to `scratch`: an interrupted training resumes.
    """
    pixels, labels = selection.source.pixels, selection.labels
    everything: Any = (Images(pixels, learnt), labels[learnt])
    _, first = next(iter(values.values()))
    use_threads(first.threads)
    warn_of_slow_arithmetic(first.precision)
    epochs = Counter[str]()
    for task in left:
        epochs[task.kind] += values[task.kind][1].epochs
    watchers = {kind: estimate_seconds(kind, count) for kind, count in epochs.items()}

    def judge(task: Task) -> Float32s:
        model, train = values[task.kind]
        number = left.index(task) + 1
        print(
            f"Network {number} of {len(left)} ({task.kind}): {len(task.trained):,} images to train "
            f"on, {len(task.judged):,} to judge"
        )
        # One line for all epochs: an audit of few images has hundreds.
        method = replace(
            make_method(model, train, everything, everything, background, is_plain()),
            says_epochs=False,
        )
        refuse_too_large(method.make_network, model.name, 1, train.batch_size)
        training: Any = (Images(pixels, task.trained), labels[task.trained])
        checkpoints = scratch / task.name
        network, _ = fit(method, [training], None, task.seed, checkpoints, [watchers[task.kind]])
        found: Float32s = judge_images(method, network, Images(pixels, task.judged))
        shutil.rmtree(checkpoints, ignore_errors=True)
        return found

    return judge


def estimate_seconds(kind: str, epochs: int) -> keras.callbacks.Callback:
    """What says how long the networks of a kind take, `epochs` epochs in all.

    By the second epoch: the first one also compiles.
    """
    start, done = 0.0, 0

    def begin(_epoch: int, _logs: object) -> None:
        nonlocal start
        start = time.perf_counter()

    def end(_epoch: int, _logs: object) -> None:
        nonlocal done
        done += 1
        if done == 2 and epochs > done:
            seconds = (time.perf_counter() - start) * (epochs - done)
            print(
                f"about {seconds:,.0f} s to go for {epochs - done} epochs of kind {kind}",
                flush=True,
            )

    return keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)
