"""train: fit the chosen network to the training images, judge it by the validation images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.shared.arrays import read_part, wrong_array
from stages.train.architectures import average_networks, network_maker
from stages.train.comparison import refuse_difference, sample_images
from stages.train.fitting import fit_members
from stages.train.history import describe_overfitting, mean_history, write_history
from stages.train.memory import refuse_too_large
from stages.train.onnx_graph import make_onnx, refuse_unknown_layers
from stages.train.precision import warn_of_slow_arithmetic
from stages.train.prediction import predict
from stages.train.saving import save_models
from stages.train.scoring import write_scores
from stages.train.summary import write_summary
from stages.train.threads import use_threads

if TYPE_CHECKING:
    from stages.run.params import Dataset, Model, Train
    from stages.train.batches import Part


def main(
    processed: Path,
    models: Path,
    reports: Path,
    seed: int,
    train: Train,
    model: Model,
    dataset: Dataset,
    scratch: Path,
    plain: bool,
) -> None:
    use_threads(train.threads)
    training, validation = read_parts(processed)
    held_out = None if train.refit else validation
    make_network = network_maker(model, training, validation)
    refuse_too_large(make_network, model.name, train.members, train.batch_size)
    warn_of_slow_arithmetic(train.precision)
    first = make_network()
    refuse_unknown_layers(first, train.members)
    write_summary(first, train.members, models / "layers.txt")
    parts = [training] if held_out else [training, validation]
    networks, histories = fit_members(
        make_network, parts, held_out, seed, train, scratch, plain, dataset.images.background
    )
    history = mean_history(histories)
    write_history(history, reports / "history.csv")
    print(describe_overfitting(history))
    result = average_networks(networks)
    probabilities = write_scores(result, held_out, reports)
    images = validation[0] if held_out else sample_images(training[0])
    if not held_out:
        probabilities = predict(result, images)
    onnx = make_onnx(result)
    refuse_difference(onnx, images, probabilities, train.threads)
    save_models(result, onnx, models)


def read_parts(processed: Path) -> tuple[Part, Part]:
    """The training and the validation part. Raises UserError unless they fit each other."""
    training, validation = (read_part(processed, split) for split in ("train", "validation"))
    if training[0].shape[1:] != validation[0].shape[1:]:
        expected = f"images {training[0].shape[1:]} like those of x_train.npy"
        raise wrong_array(processed / "x_validation.npy", expected, validation[0])
    classes = 1 + int(max(training[1].max(), validation[1].max()))
    absent = np.setdiff1d(np.arange(classes), training[1])
    if len(absent):
        expected = f"labels of every class from 0 to {classes - 1}"
        raise wrong_array(processed / "y_train.npy", expected, f"none of {absent.tolist()}")
    return training, validation
