"""train: fit the chosen network to the training images, judge it by the validation images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stages.train.architectures import average_networks, network_maker
from stages.train.comparison import refuse_difference, sample_images
from stages.train.fitting import Method, fit_members
from stages.train.history import describe_overfitting, mean_history, write_history
from stages.train.memory import refuse_too_large
from stages.train.onnx_graph import make_onnx, refuse_unknown_layers
from stages.train.parts import choose_parts, read_parts
from stages.train.precision import warn_of_slow_arithmetic
from stages.train.prediction import predict
from stages.train.saving import save_models
from stages.train.scoring import write_scores
from stages.train.side_by_side import count_processes, fit_side_by_side
from stages.train.summary import write_summary
from stages.train.threads import use_threads

if TYPE_CHECKING:
    from stages.run.params import Dataset, Model, Train


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
    parts, held_out = choose_parts(training, validation, train.refit)
    make_network = network_maker(model, training, validation)
    refuse_too_large(make_network, model.name, train.members, train.batch_size)
    warn_of_slow_arithmetic(train.precision)
    first = make_network()
    refuse_unknown_layers(first, train.members)
    write_summary(first, train.members, models / "layers.txt")
    method = Method(make_network, train, dataset.images.background, plain)
    processes = count_processes(method)
    if processes > 1:
        fit_side_by_side(method, processed, seed, scratch, processes)
    networks, histories = fit_members(method, parts, held_out, seed, scratch)
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
